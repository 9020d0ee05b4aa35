"""Learning curves: from the runs' `metrics.jsonl` to a mean and a band over training seeds."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rl_lab import paths
from rl_lab.reporting.figures import Missing
from rl_lab.reporting.stored import Data, find_run

FloatArray = npt.NDArray[np.float64]

# The tag of the mean return of recent training episodes; stable-baselines3's name.
RETURN_TAG = "rollout/ep_rew_mean"
_GRID_POINTS = 48


@dataclasses.dataclass(frozen=True)
class Curve:
    """One run: [p] environment steps, seconds and returns of its log points, steps rising."""

    steps: FloatArray
    seconds: FloatArray
    returns: FloatArray


@dataclasses.dataclass(frozen=True)
class Band:
    """Several runs on common positions.

    Attributes:
        x: [g] positions.
        mean: [g] mean return over the seeds.
        low: [g] lowest.
        high: [g] highest.
        seeds: How many there are.
        longest: Where the last of them ended; the band itself ends where the first did.
    """

    x: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    seeds: int
    longest: float


def of_contestant(folder: Path, contestant: Data) -> tuple[list[Curve], list[Missing]]:
    """The curves of a contestant's runs, and what is missing of them.

    Args:
        folder: The evaluation folder.
        contestant: As in `scores.json`; `runs` lists run folders.
    """
    name = str(contestant.get("name"))
    runs = contestant.get("runs") or []
    if not runs:
        return [], [Missing(name, "its evaluation names no training runs")]
    curves, missing = [], []
    for run in runs:
        found = _read(folder, str(run))
        if isinstance(found, Curve):
            curves.append(found)
        else:
            missing.append(Missing(name, found))
    return curves, missing


def _read(folder: Path, run: str) -> Curve | str:
    """A run's curve, or the reason why there is none."""
    place = find_run(folder, run)
    where = "/".join(Path(run).parts[-2:])
    if place is None:
        return f"the run folder {where} is not here"
    try:
        text = (place / paths.RUN_METRICS).read_bytes()
    except OSError as error:
        return f"{paths.RUN_METRICS} of {where} cannot be read: {error.strerror}"
    rows = [row for row in map(_row, text.split(b"\n")[:-1]) if row is not None]
    if not rows:
        return f"{paths.RUN_METRICS} of {where} has no {RETURN_TAG}"
    data = np.array(rows, dtype=float)
    # Of log points at the same step the last one counts.
    _, last = np.unique(data[::-1, 0], return_index=True)
    kept = data[::-1][last]
    return Curve(kept[:, 0], np.maximum.accumulate(kept[:, 1]), kept[:, 2])


def _row(line: bytes) -> tuple[float, float, float] | None:
    """Step, seconds and return of a log point that has them all."""
    try:
        point: Any = json.loads(line)
        row = tuple(float(point[key]) for key in ("step", "time_s", RETURN_TAG))
    except (ValueError, KeyError, TypeError):
        return None
    return row if all(map(math.isfinite, row)) else None  # type: ignore[return-value]


def band(curves: Sequence[Curve], axis: str) -> Band | str:
    """Mean, lowest and highest return where all seeds have data, or why there is none.

    Args:
        curves: One per training seed.
        axis: "steps" or "seconds".
    """
    xs = [getattr(curve, axis) for curve in curves]
    start, end = max(x[0] for x in xs), min(x[-1] for x in xs)
    if start > end:
        return f"the {axis} of its training seeds do not overlap"
    grid = _grid(xs, start, end)
    stack = np.stack([np.interp(grid, x, c.returns) for x, c in zip(xs, curves, strict=True)])
    mean, low, high = stack.mean(axis=0), stack.min(axis=0), stack.max(axis=0)
    return Band(grid, mean, low, high, len(curves), max(float(x[-1]) for x in xs))


def _grid(xs: Sequence[FloatArray], start: float, end: float) -> FloatArray:
    """The log points themselves where there are few, else evenly spaced positions."""
    own = np.unique(np.concatenate(xs))
    own = own[(own >= start) & (own <= end)]
    return own if len(own) <= _GRID_POINTS else np.linspace(start, end, _GRID_POINTS)

"""One trial: its trainings one after the other, watched by their frozen evaluations."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rl_lab import paths, runs
from rl_lab.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_INTERRUPTED, Failed
from rl_lab.frozen_policy import golden, load_policy

_LOOK_EVERY_S = 0.2
_CALLS, _PARTS = 2_000, 5
AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "worst": min,
}


class Training(Protocol):
    """A training that goes on in a process of its own."""

    folder: Path

    def poll(self) -> int | None:
        """Its exit code, or None."""

    def stop(self) -> None:
        """Ask it to stop and wait for it."""


class Stopped(Exception):
    """The worker was asked to stop; the trial did not end."""


@dataclasses.dataclass(frozen=True)
class Result:
    """How a trial ended.

    Attributes:
        returns: Mean return of each training seed's final policy on its selection seeds.
        pruned: Whether it was given up.
        runs: The folders of its runs.
    """

    returns: tuple[float, ...]
    pruned: bool
    runs: tuple[Path, ...]


def run(
    start: Callable[[int], Training],
    seeds: Sequence[int],
    aggregate: str,
    report: Callable[[float, int], bool],
    stopping: Callable[[], bool],
) -> Result:
    """Train every seed of a trial.

    Args:
        start: Starts the training of a seed.
        seeds: Training seeds.
        aggregate: How the seeds' returns become one number.
        report: Told that number after each frozen evaluation, with its place among those of the
            whole trial; True gives the trial up.
        stopping: Whether to stop here.

    Raises:
        Stopped: `stopping` said so.
        Failed: A training failed.
    """
    done: list[float] = []
    folders: list[Path] = []
    place = 0
    for seed in seeds:
        training = start(seed)
        folders.append(training.folder)
        seen = 0
        while True:
            code = training.poll()
            points = selection(training.folder)
            for value in points[seen:]:
                place += 1
                if report(AGGREGATES[aggregate]([*done, value]), place):
                    training.stop()
                    return Result((*done, value), True, tuple(folders))
            seen = len(points)
            if code is not None:
                break
            if stopping():
                training.stop()
                raise Stopped
            time.sleep(_LOOK_EVERY_S)
        _require_done(code, training.folder)
        done.append(float(runs.read(training.folder)["selection"][-1]["mean_return"]))
    return Result(tuple(done), False, tuple(folders))


def _require_done(code: int, folder: Path) -> None:
    if code in (EXIT_INTERRUPTED, -2, -15):
        raise Stopped
    if code != EXIT_DONE:
        card = runs.read(folder) if (folder / paths.RUN_CARD).is_file() else {}
        what = "its settings are refused" if code == EXIT_BAD_INPUT else f"exit code {code}"
        raise Failed(str(card.get("error") or what))


def selection(folder: Path) -> list[float]:
    """Mean returns of a run's frozen evaluations so far."""
    try:
        lines = (folder / paths.RUN_METRICS).read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return []
    points = [
        json.loads(line) for line in lines if line.endswith("\n") and "eval/mean_reward" in line
    ]
    return [float(point["eval/mean_reward"]) for point in points]


def latency_us(folder: Path) -> float:
    """Median time of one decision of a frozen policy, in microseconds: the best of five parts."""
    policy = load_policy(folder)
    card = policy.card
    vectors = golden.read(card.golden, card.observation_space, card.action_space, card.action_masks)
    observation: Any = vectors.first
    mask = vectors.masks
    arguments = () if mask is None else (mask[0],)
    medians = []
    for _ in range(_PARTS):
        times = []
        state = policy.reset()
        for _ in range(_CALLS // _PARTS):
            start = time.perf_counter_ns()
            _, state = policy.act(observation, state, *arguments)
            times.append(time.perf_counter_ns() - start)
        medians.append(statistics.median(times))
    return min(medians) / 1e3

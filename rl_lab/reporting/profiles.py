"""Performance profiles: the share of episodes that return at least so much."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from rl_lab.comparison.scoring import NOMINAL
from rl_lab.reporting.arranging import Line, arranged, size_of
from rl_lab.reporting.figures import Figure, Missing, distinct, looks, short
from rl_lab.reporting.lines import Axes, Series, Tick
from rl_lab.reporting.stored import Evaluation, block
from rl_lab.reporting.svg import nice_ticks, tick_text

_GRID_POINTS = 121
FloatArray = npt.NDArray[np.float64]


def figure(evaluation: Evaluation) -> Figure:
    """One line per contestant, falling from 1 to 0 (Agarwal et al. 2021, section 4.2)."""
    look = looks(evaluation.contestants)
    returns = _returns(evaluation)
    found = Figure(
        "Performance profiles",
        "the height is the share of episodes that return at least as much as stands below. A"
        " line further up and to the right is better everywhere; where two cross, one is safer"
        " and the other has the better best episodes. The band runs from the lowest to the"
        " highest training seed.",
        "aside",
        (),
    )
    why = evaluation.episodes_reason or "no episode of it in episodes.csv"
    names = [str(c.get("name")) for c in evaluation.contestants]
    missing = distinct([Missing(name, why) for name in names if name not in returns])
    found = dataclasses.replace(found, missing=missing)
    known = {name: returns[name] for name in names if name in returns}
    if not known:
        return found
    everything = np.concatenate([array for seeds in known.values() for array in seeds.values()])
    low, high = float(everything.min()), float(everything.max())
    if low == high:
        low, high = low - 1.0, high + 1.0
    grid = np.linspace(low, high, _GRID_POINTS)
    drawn = [_line(name, list(known[name].values()), grid, look[name]) for name in known]
    ticks = [Tick(tick, tick_text(tick)) for tick in nice_ticks(low, high, 5)]
    references = _references(evaluation, low, high)
    axes = Axes(
        (low, high),
        (0.0, 1.03),
        ticks,
        f"episode return{references}",
        "share of episodes",
        size=size_of([line.series for line in drawn]),
        y_text=lambda share: f"{share:.0%}",
    )
    return arranged(found, drawn, axes, "profile")


def _references(evaluation: Evaluation, low: float, high: float) -> str:
    solved = block(evaluation.scores, "anchors").get("solved")
    return f" (solved: {solved:g})" if solved is not None and low <= solved <= high else ""


def _returns(evaluation: Evaluation) -> dict[str, dict[int, FloatArray]]:
    """Contestant -> training seed -> returns in the training context."""
    rows: dict[str, dict[int, list[float]]] = {}
    for row in evaluation.episodes or []:
        if row.shift == NOMINAL[0]:
            seeds = rows.setdefault(row.contestant, {})
            seeds.setdefault(row.training_seed, []).append(row.episode_return)
    return {n: {s: np.array(v) for s, v in seeds.items()} for n, seeds in rows.items()}


def share_at_least(returns: FloatArray, grid: FloatArray) -> FloatArray:
    """Of `returns`, the share that is at least as high as each position of `grid`."""
    below = np.searchsorted(np.sort(returns), grid, side="left")
    return 1.0 - below / len(returns)


def _line(name: str, seeds: list[FloatArray], grid: FloatArray, look: str) -> Line:
    stack = np.stack([share_at_least(returns, grid) for returns in seeds])
    nothing = [float("nan")] * len(grid)
    alone = len(seeds) == 1
    low, high = (nothing, nothing) if alone else (list(stack.min(0)), list(stack.max(0)))
    series = Series(look, list(grid), list(stack.mean(axis=0)), low, high)
    median = float(np.median(np.concatenate(seeds)))
    return Line(name, series, f"{short(name)}: half of the episodes return {median:.4g} or more")

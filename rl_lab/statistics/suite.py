"""Scores over several environments: intervals stratified by environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from rl_lab.statistics import measures, resampling
from rl_lab.statistics.intervals import CONFIDENCE, Interval, counted, no_interval, percentile
from rl_lab.statistics.resampling import RESAMPLES, FloatArray

FEWEST_ENVIRONMENTS = 3
# With fewer seeds x environments the interquartile mean trims nothing, or almost nothing.
FEWEST_VALUES_FOR_IQM = 8
TAUS = tuple(step / 20 for step in range(31))


@dataclasses.dataclass(frozen=True)
class Suite:
    """One agent over several environments, in normalised scores.

    Attributes:
        mean: Mean score.
        iqm: Interquartile mean over training seeds and environments.
        optimality_gap: Mean shortfall from 1.
        profile: Share of all episodes' scores above each of `taus`, environments weighing equally.
        profile_low: Lower end of its pointwise 95 % band.
        profile_high: Upper end.
        taus: Where the profile is taken.
        method: How the band and the intervals were made.
    """

    mean: Interval
    iqm: Interval
    optimality_gap: Interval
    profile: tuple[float, ...]
    profile_low: tuple[float, ...]
    profile_high: tuple[float, ...]
    taus: tuple[float, ...]
    method: str


def suite(
    scores: Mapping[str, FloatArray],
    generator: np.random.Generator,
    taus: tuple[float, ...] = TAUS,
    resamples: int = RESAMPLES,
) -> Suite:
    """Aggregate one agent's scores; the population is runs of its recipe on these environments.

    Args:
        scores: Environment to scores [n, k]; n and k may differ.
        generator: Draws the resamples, the same for all three intervals.
        taus: Where to take the profile.
        resamples: How many.

    Raises:
        ValueError: Fewer than 3 environments, which support no claim about a suite.
    """
    if len(scores) < FEWEST_ENVIRONMENTS:
        raise ValueError(f"{len(scores)} environments; a suite has at least {FEWEST_ENVIRONMENTS}")
    matrices = [np.asarray(scores[name], dtype=float) for name in sorted(scores)]
    means = np.concatenate([matrix.mean(axis=1) for matrix in matrices])
    draws = _stratified(matrices, generator, resamples)
    fewest, most = min(map(len, matrices)), max(map(len, matrices))
    seeds = counted(most, "training seed") if fewest == most else f"{fewest} to {most} seeds"
    method = f"95% stratified bootstrap, {len(matrices)} environments, {seeds} each"

    def interval(statistic: Callable[[FloatArray], FloatArray]) -> Interval:
        return percentile(float(statistic(means[None])[0]), statistic(draws), method)

    iqm = interval(measures.iqm)
    if means.size < FEWEST_VALUES_FOR_IQM:
        iqm = no_interval(np.nan, f"fewer than {FEWEST_VALUES_FOR_IQM} seeds x environments")
    low, high = _band(matrices, taus, generator, resamples)
    return Suite(
        interval(lambda x: np.asarray(x.mean(axis=1))),
        iqm,
        interval(measures.optimality_gap),
        tuple(map(float, np.mean([measures.profile(m, taus) for m in matrices], axis=0))),
        low,
        high,
        taus,
        method,
    )


def _band(
    matrices: list[FloatArray],
    taus: tuple[float, ...],
    generator: np.random.Generator,
    resamples: int,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Pointwise ends of the profile: crossed resampling within each environment (2108.13264)."""

    def above(stack: FloatArray) -> FloatArray:
        return np.stack([(stack > tau).mean(axis=(1, 2)) for tau in taus], axis=1)

    parts = [resampling.crossed([matrix], above, generator, resamples) for matrix in matrices]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.mean(parts, axis=0), [tail, 1 - tail], axis=0)
    return tuple(map(float, low)), tuple(map(float, high))


def _stratified(
    matrices: list[FloatArray], generator: np.random.Generator, resamples: int
) -> FloatArray:
    """Seeds' mean scores [resamples, total n], crossed resampling within each environment."""
    parts = [
        resampling.crossed([matrix], lambda x: np.asarray(x.mean(axis=2)), generator, resamples)
        for matrix in matrices
    ]
    return np.concatenate(parts, axis=1)

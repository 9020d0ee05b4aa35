"""A number of each training seed, averaged over the seeds, with its interval.

The number may be any function of a seed's episodes: a mean, an area, a ratio, a minimum. Evaluation
seeds are shared, so one draw of them holds for all training seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rl_lab.statistics import intervals, resampling
from rl_lab.statistics.intervals import Interval
from rl_lab.statistics.resampling import RESAMPLES, FloatArray


@dataclasses.dataclass(frozen=True)
class Seed:
    """One training seed's episodes, and what is to be known of them.

    Attributes:
        episodes: [k, ...]: evaluation seeds, whatever belongs to each; k is the same for all
            training seeds of an interval.
        value: Maps [..., k, ...] to [...]; NaN where the episodes say nothing.
    """

    episodes: FloatArray
    value: Callable[[FloatArray], FloatArray]


def of_matrix(episodes_nk: FloatArray, value: Callable[[FloatArray], FloatArray]) -> Sequence[Seed]:
    """One `Seed` for each row of [n, k, ...]."""
    return [Seed(row, value) for row in episodes_nk]


def over_seeds(
    seeds: Sequence[Seed], generator: np.random.Generator, resamples: int = RESAMPLES
) -> Interval:
    """The mean over training seeds of a number of each, with its 95 % interval.

    2 to 9 seeds: Student's t over the seeds' numbers. From 10: crossed bootstrap. One seed: its
    evaluation seeds resampled, which speaks of that policy only.

    Args:
        seeds: At least one, each with a number.
        generator: Draws the resamples.
        resamples: How many.
    """
    values_n = np.array([float(seed.value(seed.episodes)) for seed in seeds])
    if 1 < len(seeds) < intervals.BOOTSTRAP_SEEDS:
        return intervals.t_interval(values_n, "training seed")
    k, estimate = len(seeds[0].episodes), float(values_n.mean())
    if len(seeds) == k == 1:
        return intervals.no_interval(estimate, "one episode")
    draws = np.concatenate(list(_resampled(seeds, generator, resamples)))
    # Resamples in which no seed has a number say nothing of the mean; the episodes as they are
    # have one, so others do.
    known = draws[~np.isnan(draws)]
    return intervals.percentile(estimate, known, intervals.crossed_method(len(seeds), k))


def _resampled(
    seeds: Sequence[Seed], generator: np.random.Generator, resamples: int
) -> Iterator[FloatArray]:
    """The mean over the training seeds, in rows and columns drawn with replacement [b]."""
    n, k = len(seeds), len(seeds[0].episodes)
    largest = max(seed.episodes.size for seed in seeds)
    at_once = max(1, resampling.CELLS_AT_ONCE // largest)
    for start in range(0, resamples, at_once):
        b = min(at_once, resamples - start)
        columns_bk = generator.integers(k, size=(b, k))
        rows_bn = generator.integers(n, size=(b, n))
        values_bn = np.stack([s.value(s.episodes[columns_bk]) for s in seeds], axis=1)
        drawn_bn = np.take_along_axis(values_bn, rows_bn, axis=1)
        counts_b = (~np.isnan(drawn_bn)).sum(axis=1)
        sums_b = np.nansum(drawn_bn, axis=1)
        yield np.divide(sums_b, counts_b, out=np.full(b, np.nan), where=counts_b > 0)

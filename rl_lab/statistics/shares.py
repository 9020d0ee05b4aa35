"""Intervals of what is not a mean return: tails, and how often one agent beats another.

Matrices are [n, k]: training seeds in rows, evaluation seeds in columns.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy  # its submodules load on first use

from rl_lab.statistics import measures, resampling
from rl_lab.statistics.intervals import (
    BOOTSTRAP_SEEDS,
    CONFIDENCE,
    Interval,
    counted,
    crossed_bootstrap,
    no_interval,
    percentile,
    t_interval,
)
from rl_lab.statistics.resampling import FloatArray

# Below this a bootstrap over training seeds has too few different resamples to mean anything.
FEWEST_SEEDS = 5


def cvar_interval(matrix: npt.ArrayLike, share: float, generator: np.random.Generator) -> Interval:
    """Interval of the mean over training seeds of each seed's worst episodes (`measures.cvar`).

    As for mean returns: t over the seeds' values below 10, a crossed bootstrap from 10 on; for one
    seed a bootstrap over its episodes.

    Args:
        matrix: Returns [n, k].
        share: Which share of the episodes counts as the worst.
        generator: Draws the resamples.
    """
    x = np.asarray(matrix, dtype=float)
    if 1 < len(x) < BOOTSTRAP_SEEDS:
        return t_interval(measures.cvar(x, share), "training seed")

    def worst(stack: FloatArray) -> FloatArray:
        return np.asarray(measures.cvar(stack, share).mean(axis=1))

    return crossed_bootstrap(x, worst, generator)


def improvement_interval(
    a: npt.ArrayLike, b: npt.ArrayLike, generator: np.random.Generator
) -> Interval:
    """Interval of `measures.prob_improvement`: bootstrap over the training seeds of both sides.

    Args:
        a: Returns [n, k].
        b: Returns [m, k] on the same evaluation seeds.
        generator: Draws the resamples.

    Returns:
        Without ends below 5 training seeds on either side.
    """
    x, y = (np.asarray(side, dtype=float) for side in (a, b))
    estimate = measures.prob_improvement(x.mean(axis=1), y.mean(axis=1))
    if fewest := _too_few(x, y):
        return no_interval(estimate, fewest)

    def share(one: FloatArray, two: FloatArray) -> FloatArray:
        means = one.mean(axis=2)[:, :, None], two.mean(axis=2)[:, None, :]
        return measures.wins(*means, (1, 2))

    return percentile(estimate, resampling.crossed([x, y], share, generator), _method(x, y))


def win_interval(a: npt.ArrayLike, b: npt.ArrayLike, generator: np.random.Generator) -> Interval:
    """Interval of `measures.win_rate`.

    One policy on each side: Wilson's over the shared evaluation seeds, which speaks of these two
    only. Otherwise a crossed bootstrap, from 5 training seeds on both sides.

    Args:
        a: Returns [n, k].
        b: Returns [m, k] on the same evaluation seeds.
        generator: Draws the resamples.
    """
    x, y = (np.asarray(side, dtype=float) for side in (a, b))
    estimate, k = measures.win_rate(x, y), x.shape[1]
    if len(x) == len(y) == 1:
        method = f"95% Wilson over {counted(k, 'shared evaluation seed')}"
        return Interval(estimate, *_wilson_ends(estimate, k), method)
    if fewest := _too_few(x, y):
        return no_interval(estimate, fewest)

    def share(one: FloatArray, two: FloatArray) -> FloatArray:
        return measures.wins(one[:, :, None, :], two[:, None, :, :], (1, 2, 3))

    method = f"{_method(x, y)}, {counted(k, 'shared evaluation seed')}"
    return percentile(estimate, resampling.crossed([x, y], share, generator), method)


def _too_few(a: FloatArray, b: FloatArray) -> str:
    fewest = min(len(a), len(b))
    return "" if fewest >= FEWEST_SEEDS else f"fewer than {FEWEST_SEEDS} training seeds"


def _method(a: FloatArray, b: FloatArray) -> str:
    seeds = f"{len(a)}" if len(a) == len(b) else f"{len(a)} and {len(b)}"
    return f"95% crossed bootstrap, {seeds} training seeds"


def _wilson_ends(share: float, n: int) -> tuple[float, float]:
    """Wilson's interval of a share in which ties count half, so that successes may be no integer.

    SciPy's takes whole successes only; for those both agree.
    """
    z = float(scipy.stats.norm.ppf((1 + CONFIDENCE) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)

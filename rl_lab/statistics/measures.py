"""What is measured on returns and scores: single numbers, no intervals.

Scores are affine in the return: 0 is a random policy, 1 is solved.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy  # its submodules load on first use

from rl_lab.statistics.resampling import FloatArray

# A policy whose nominal score is below this has learned too little to have anything to lose.
LEARNED_SCORE = 0.1
NOT_LEARNED = "undefined: nominal not learned"
_KEPT_SHARE = 0.8
_SMALL_SAMPLE = 4


def prob_improvement(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """How often a run of A beats a run of B, ties half: Mann-Whitney's U / (n m), 2108.13264.

    Args:
        a: Mean returns of A's training seeds [n].
        b: Mean returns of B's training seeds [m].
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return float(wins(x[:, None], y[None, :], (0, 1)))


def win_rate(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """How often A beats B on the same evaluation seed, ties half, over all pairs of policies.

    Args:
        a: Returns [n, k].
        b: Returns [m, k] on the same evaluation seeds.
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return float(wins(x[:, None, :], y[None, :, :], (0, 1, 2)))


def wins(a: FloatArray, b: FloatArray, axes: tuple[int, ...]) -> FloatArray:
    """Share of a's wins over b along some axes, ties half; shapes broadcast."""
    return np.asarray(((a > b).mean(axis=axes) + (a >= b).mean(axis=axes)) / 2)


def iqm(scores: npt.ArrayLike) -> FloatArray:
    """Interquartile mean of scores [..., k]: a quarter is left out at either end (2108.13264).

    Returns:
        [...].
    """
    return np.asarray(scipy.stats.trim_mean(np.asarray(scores, dtype=float), 0.25, axis=-1))


def optimality_gap(scores: npt.ArrayLike, gamma: float = 1.0) -> FloatArray:
    """How far scores [..., k] fall short of gamma on average; more earns nothing (2108.13264).

    Returns:
        [...].
    """
    return np.asarray(gamma - np.minimum(np.asarray(scores, dtype=float), gamma).mean(axis=-1))


def cvar(values: npt.ArrayLike, share: float) -> FloatArray:
    """Mean of the worst `share` of values [..., k] (1912.05663).

    Returns:
        [...].
    """
    x = np.asarray(values, dtype=float)
    worst = x <= np.quantile(x, share, axis=-1, keepdims=True)
    return np.asarray(np.where(worst, x, 0.0).sum(axis=-1) / worst.sum(axis=-1))


def censored_median(values: Sequence[float | None]) -> float | None:
    """Median of values of which some are only known to lie above all the others.

    Args:
        values: None for such a one; only its rank counts.

    Returns:
        None unless more than half are known.
    """
    if 2 * sum(value is not None for value in values) <= len(values):
        return None
    return float(np.median([np.inf if value is None else float(value) for value in values]))


def dispersion(values: npt.ArrayLike) -> float:
    """Interquartile range of values [n]; below 4 their standard deviation; NaN for one."""
    x = np.asarray(values, dtype=float)
    if x.size < 2:
        return float("nan")
    if x.size < _SMALL_SAMPLE:
        return float(np.std(x, ddof=1))
    low, high = np.quantile(x, [0.25, 0.75])
    return float(high - low)


def profile(scores: npt.ArrayLike, taus: npt.ArrayLike) -> FloatArray:
    """Share of scores above each tau: the score distribution of 2108.13264.

    Args:
        scores: Any shape.
        taus: [t].

    Returns:
        [t].
    """
    x = np.asarray(scores, dtype=float).ravel()
    return np.asarray((x[:, None] > np.asarray(taus, dtype=float)).mean(axis=0))


def area_under(deltas: npt.ArrayLike, scores: npt.ArrayLike) -> FloatArray:
    """Area under the robustness curve over [0, 1], scores clipped to [0, 1]; trapezoid rule.

    Args:
        deltas: Shift magnitudes [l], ascending.
        scores: Scores at them [..., l].

    Returns:
        Areas [...]; NaN where the magnitudes do not reach from 0 to 1.
    """
    grid, curve = np.asarray(deltas, dtype=float), np.asarray(scores, dtype=float)
    if grid[0] != 0.0 or grid[-1] != 1.0:
        return np.full(curve.shape[:-1], np.nan)
    return np.asarray(scipy.integrate.trapezoid(np.clip(curve, 0.0, 1.0), grid, axis=-1))


def critical_shift(deltas: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float | None, str]:
    """The largest shift up to which 0.8 of the nominal score is kept at every magnitude.

    Args:
        deltas: Shift magnitudes [l], ascending from 0.
        scores: Scores at them [l].

    Returns:
        The magnitude, or None; and the text to print: "0.25", ">1.0", "undefined: ...".
    """
    grid, curve = np.asarray(deltas, dtype=float), np.asarray(scores, dtype=float)
    if curve[0] < LEARNED_SCORE:
        return None, NOT_LEARNED
    lost = np.flatnonzero(curve < _KEPT_SHARE * curve[0])
    if lost.size == 0:
        return float(grid[-1]), f">{float(grid[-1])}"
    kept = float(grid[lost[0] - 1])
    return kept, f"{kept}"

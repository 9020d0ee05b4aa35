"""Intervals and tests over training seeds and shared evaluation seeds.

Matrices are [n, k]: training seeds in rows, evaluation seeds in columns. Two agents may differ in n
and share their k columns. What is undefined is NaN, and `method` says why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import scipy  # its submodules load on first use; scipy.stats alone takes most of a second

from rl_lab.statistics import resampling
from rl_lab.statistics.resampling import RESAMPLES, ROUNDING, FloatArray

CONFIDENCE = 0.95
# Below this many training seeds a percentile bootstrap is too narrow: it covers 0.83 at 5 seeds.
BOOTSTRAP_SEEDS = 10


@dataclasses.dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval.

    Attributes:
        estimate: The value itself.
        low: Lower end; NaN where there is no interval.
        high: Upper end; NaN where there is no interval.
        method: How it was made and over how many units, or why there is none.
    """

    estimate: float
    low: float
    high: float
    method: str

    def clipped(self, low: float, high: float) -> Interval:
        """The interval cut to the range that the quantity can take; `method` says so if it was."""
        ends = np.clip([self.low, self.high], low, high)
        # An interval that is missing is not cut: NaN differs from NaN.
        was_cut = self.low < ends[0] or self.high > ends[1]
        method = f"{self.method}, cut to {_range(low, high)}" if was_cut else self.method
        return Interval(self.estimate, float(ends[0]), float(ends[1]), method)


def _range(low: float, high: float) -> str:
    return f"[{low:g}, {high:g}]" if np.isfinite(high) else f"{low:g} and above"


def counted(count: int, noun: str) -> str:
    """A number with its noun: "1 episode", "5 training seeds"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def no_interval(estimate: float, reason: str) -> Interval:
    """An estimate alone."""
    return Interval(float(estimate), np.nan, np.nan, f"{reason}: no interval")


def t_interval(values: npt.ArrayLike, unit: str = "value") -> Interval:
    """Student's t interval of the mean of independent values.

    Args:
        values: [n].
        unit: What one value belongs to, in the singular.
    """
    x = np.asarray(values, dtype=float)
    if x.size < 2:
        return no_interval(float(x.mean()), f"one {unit}")
    method = f"95% t over {counted(x.size, unit)}"
    return _symmetric(float(x.mean()), _sd(x) / x.size**0.5, x.size - 1, method)


def crossed_bootstrap(
    matrix: npt.ArrayLike,
    statistic: Callable[[FloatArray], FloatArray],
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Interval:
    """Percentile interval from resampling rows and columns, each as a whole.

    A single row makes it the plain bootstrap over that policy's episodes.

    Args:
        matrix: [n, k], or [n, k, ...] with axes that are not resampled.
        statistic: Maps a stack [b, n, k, ...] to [b].
        generator: Draws the resamples.
        resamples: How many.
    """
    x = np.asarray(matrix, dtype=float)
    estimate = float(statistic(x[None])[0])
    n, k = x.shape[:2]
    if n == k == 1:
        return no_interval(estimate, "one episode")
    draws = resampling.crossed([x], statistic, generator, resamples)
    return percentile(estimate, draws, crossed_method(n, k))


def crossed_method(n: int, k: int) -> str:
    """What a crossed bootstrap of n training seeds and k evaluation seeds is called."""
    if n == 1:
        return f"95% bootstrap over {counted(k, 'episode')}"
    return f"95% crossed bootstrap, {_seeds(n)}, {_shared(k)}"


def percentile(estimate: float, draws: FloatArray, method: str) -> Interval:
    """The percentile interval of a statistic's resampled values [b]."""
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(end) for end in np.quantile(draws, [tail, 1 - tail]))
    if np.ptp(draws) <= ROUNDING * np.abs(draws).max():
        low = high = estimate
    return Interval(estimate, low, high, method)


def reward_interval(matrix: npt.ArrayLike, generator: np.random.Generator) -> Interval:
    """Interval of an agent's mean return.

    One training seed: t over its episodes, which speaks of that policy only. Fewer than 10: t over
    the seeds' means. From 10: crossed bootstrap.

    Args:
        matrix: Returns [n, k].
        generator: Draws the resamples.
    """
    x = np.asarray(matrix, dtype=float)
    if len(x) == 1:
        return t_interval(x[0], "episode")
    if len(x) < BOOTSTRAP_SEEDS:
        return t_interval(x.mean(axis=1), "training seed")
    return crossed_bootstrap(x, _mean, generator)


def delta_interval(a: npt.ArrayLike, b: npt.ArrayLike, generator: np.random.Generator) -> Interval:
    """Interval of the mean difference a - b on the shared evaluation seeds.

    One training seed each: paired t over episodes, which speaks of these policies only. Fewer than
    10 on a side: Welch's t on the seeds' means. Otherwise: crossed bootstrap, rows resampled
    independently, columns jointly.

    Args:
        a: Returns [n, k].
        b: Returns [m, k].
        generator: Draws the resamples.
    """
    x, y = _sharing_columns(a, b)
    n, m = len(x), len(y)
    difference = float(_settled(x.mean() - y.mean(), x, y))
    if n == m == 1:
        paired = t_interval(_settled(x[0] - y[0], x, y), "shared evaluation seed")
        return dataclasses.replace(paired, method=paired.method.replace("% t", "% paired t"))
    if min(n, m) == 1:
        return no_interval(difference, f"{_seeds(n)} against {m}")
    if min(n, m) < BOOTSTRAP_SEEDS:
        return _symmetric(difference, *_welch(x, y), f"95% Welch t over {_seeds(n, m)}")
    method = f"95% crossed bootstrap, {_seeds(n, m)}, {_shared(x.shape[1])}"
    return percentile(difference, _resampled_differences(x, y, generator), method)


def delta_p_value(a: npt.ArrayLike, b: npt.ArrayLike, generator: np.random.Generator) -> float:
    """Two-sided p-value of no difference, by the test that goes with `delta_interval`.

    Given a generator in the state that `delta_interval` had, both use the same resamples.

    Args:
        a: Returns [n, k].
        b: Returns [m, k].
        generator: Draws the resamples or the sign flips.

    Returns:
        The p-value; NaN where `delta_interval` gives no interval.
    """
    x, y = _sharing_columns(a, b)
    n, m = len(x), len(y)
    if x.size == y.size == 1 or min(n, m) == 1 < max(n, m):
        return float("nan")
    if n == m == 1:
        return resampling.sign_flip_p_value(_settled(x[0] - y[0], x, y), generator)
    if min(n, m) < BOOTSTRAP_SEEDS:
        difference = float(_settled(x.mean() - y.mean(), x, y))
        error, df = _welch(x, y)
        if error == 0.0:
            return 1.0 if difference == 0.0 else 0.0
        return float(2 * scipy.stats.t.sf(abs(difference) / error, df))
    draws = _resampled_differences(x, y, generator)
    tail = min(int((draws <= 0.0).sum()), int((draws >= 0.0).sum()))
    return min(1.0, 2 * (tail + 1) / (draws.size + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given (Scand. J. Statist. 6, 1979, 65-70)."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def wilson(successes: int, n: int) -> Interval:
    """Wilson's interval of a share of n episodes (JASA 22, 1927, 209-212)."""
    if n == 0:
        return no_interval(np.nan, "no episodes")
    ends = scipy.stats.binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    method = f"95% Wilson over {counted(n, 'episode')}"
    return Interval(successes / n, float(ends.low), float(ends.high), method)


def _symmetric(estimate: float, error: float, df: float, method: str) -> Interval:
    half = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, df)) * error
    return Interval(estimate, estimate - half, estimate + half, method)


def _mean(stack: FloatArray) -> FloatArray:
    return np.asarray(stack.mean(axis=(1, 2)))


def _resampled_differences(
    a: FloatArray, b: FloatArray, generator: np.random.Generator
) -> FloatArray:
    draws = resampling.crossed([a, b], lambda x, y: _mean(x) - _mean(y), generator)
    return _settled(draws, a, b)


def _settled(differences: npt.ArrayLike, a: FloatArray, b: FloatArray) -> FloatArray:
    """Differences of a and b, exactly 0 where they are rounding only."""
    limit = ROUNDING * max(np.abs(a).max(), np.abs(b).max())
    return np.where(np.abs(differences) <= limit, 0.0, differences)


def _sd(values: FloatArray) -> float:
    """Standard deviation (n - 1), exactly 0 where values differ by rounding only."""
    if np.ptp(values) <= ROUNDING * np.abs(values).max():
        return 0.0
    return float(np.std(values, ddof=1))


def _welch(a: FloatArray, b: FloatArray) -> tuple[float, float]:
    """Standard error and degrees of freedom; scipy's `ttest_ind` warns if one side is constant."""
    parts = [_sd(x.mean(axis=1)) ** 2 / len(x) for x in (a, b)]
    if sum(parts) == 0.0:
        return 0.0, float(len(a) + len(b) - 2)
    shares = [part / sum(parts) for part in parts]
    df = 1 / sum(s**2 / (len(x) - 1) for s, x in zip(shares, (a, b), strict=True))
    return sum(parts) ** 0.5, df


def _sharing_columns(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"{x.shape[1]} against {y.shape[1]} evaluation seeds are not the same")
    return x, y


def _seeds(n: int, m: int | None = None) -> str:
    return counted(n, "training seed") if m in (None, n) else f"{n} and {m} training seeds"


def _shared(k: int) -> str:
    return counted(k, "shared evaluation seed")

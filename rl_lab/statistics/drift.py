"""Whether the world is still the one a policy was trained in: tests on whole episodes, one alarm.

Steps of an episode depend on each other, so no p-value here is of steps: tests permute whole
episodes, and the alarm's threshold is conformal over episodes. Observations say where a policy is
(covariate drift); residuals of a one-step model say how the world answers (dynamics drift).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rl_lab.statistics import measures
from rl_lab.statistics.adaptation import Measured
from rl_lab.statistics.resampling import FloatArray

PERMUTATIONS = 999
NOVELTY_TAILS = (0.005, 0.995)
# Effects are of the order of 1; the same data in another order differ by less than this.
_ROUNDING = 1e-12
_CELLS_AT_ONCE = 4_000_000


@dataclasses.dataclass(frozen=True)
class Tested:
    """An effect size and the share of permuted data with an effect at least as large.

    Attributes:
        effect: The statistic.
        p_value: (c + 1) / (P + 1) over P permutations of whole episodes.
    """

    effect: Measured
    p_value: float | None


Labels = npt.NDArray[np.bool_]
# Which episodes are called current in so many permutations: [e], how many, draws -> [b, e].
Relabel = Callable[[Labels, int, np.random.Generator], Labels]


def freely(is_current_e: Labels, count: int, generator: np.random.Generator) -> Labels:
    """Any episode may stand for any other: the two sides are independent."""
    return generator.permuted(np.tile(is_current_e, (count, 1)), axis=1)


def within_pairs(is_current_e: Labels, count: int, generator: np.random.Generator) -> Labels:
    """Episode i of one side changes places with episode i of the other, or does not.

    Raises:
        ValueError: The sides are not of one length.
    """
    half = len(is_current_e) // 2
    if 2 * half != len(is_current_e) or is_current_e.sum() != half:
        raise ValueError("pairs need two sides of one length")
    swapped = generator.random((count, half)) < 0.5
    return np.concatenate([swapped, ~swapped], axis=1)


def obs_shift(
    reference: Sequence[FloatArray],
    current: Sequence[FloatArray],
    sd_s: FloatArray,
    generator: np.random.Generator,
    permutations: int = PERMUTATIONS,
    relabel: Relabel = freely,
) -> Tested:
    """How far observations have moved: max_j W1(reference_j, current_j) / sd_j.

    The maximum stands inside the permutation, so several dimensions need no correction.

    Args:
        reference: Observations of each reference episode, [t, s].
        current: Observations of each current episode, [t, s].
        sd_s: The unit of each dimension, from other episodes than these.
        generator: Draws the permutations.
        permutations: How many.
        relabel: Which permutations are drawn.
    """
    rows = np.concatenate([*reference, *current])
    order_sn = np.argsort(rows, axis=0, kind="stable").T
    gaps_sn = np.diff(np.take_along_axis(rows.T, order_sn, axis=1), axis=1) / sd_s[:, None]

    def statistic(differences_bn: FloatArray) -> FloatArray:
        steps = np.cumsum(differences_bn[:, order_sn], axis=2)[:, :, :-1]
        return np.asarray((np.abs(steps) * gaps_sn).sum(axis=2).max(axis=1))

    return _permuted(reference, current, statistic, rows.size, generator, relabel, permutations)


def category_shift(
    reference: Sequence[npt.NDArray[np.int64]],
    current: Sequence[npt.NDArray[np.int64]],
    generator: np.random.Generator,
    permutations: int = PERMUTATIONS,
    relabel: Relabel = freely,
) -> Tested:
    """How far a discrete observation's histogram has moved: total variation distance in [0, 1].

    Args:
        reference: States of each reference episode, [t].
        current: States of each current episode, [t].
        generator: Draws the permutations.
        permutations: How many.
        relabel: Which permutations are drawn.
    """
    rows = np.concatenate([*reference, *current])
    _, codes = np.unique(rows, return_inverse=True)
    indicator = np.eye(codes.max() + 1)[codes]

    def statistic(differences_bn: FloatArray) -> FloatArray:
        return np.asarray(0.5 * np.abs(differences_bn @ indicator).sum(axis=1))

    cells = indicator.size
    return _permuted(reference, current, statistic, cells, generator, relabel, permutations)


def _permuted(
    reference: Sequence[np.ndarray],
    current: Sequence[np.ndarray],
    statistic: Callable[[FloatArray], FloatArray],
    cells: int,
    generator: np.random.Generator,
    relabel: Relabel,
    permutations: int,
) -> Tested:
    """A statistic of the difference of two empirical distributions, episodes permuted whole."""
    lengths = np.array([len(episode) for episode in (*reference, *current)])
    episode_n = np.repeat(np.arange(len(lengths)), lengths)
    is_current = np.arange(len(lengths)) >= len(reference)

    def differences(labels_be: npt.NDArray[np.bool_]) -> FloatArray:
        ours = (labels_be * lengths).sum(axis=1)[:, None]
        weights_be = np.where(labels_be, 1.0 / ours, -1.0 / (lengths.sum() - ours))
        return np.asarray(weights_be[:, episode_n])

    observed = float(statistic(differences(is_current[None]))[0])
    extreme = 0
    at_once = max(1, _CELLS_AT_ONCE // cells)
    for start in range(0, permutations, at_once):
        count = min(at_once, permutations - start)
        labels = relabel(is_current, count, generator)
        extreme += int((statistic(differences(labels)) >= observed - _ROUNDING).sum())
    return Tested(Measured(observed), (extreme + 1) / (permutations + 1))


def dynamics_shift(
    calibration: Sequence[float],
    current: Sequence[float],
    generator: np.random.Generator,
    permutations: int = PERMUTATIONS,
    relabel: Relabel = freely,
) -> Tested:
    """log10 of the ratio of the median residuals, two-sided p by permuting whole episodes.

    Args:
        calibration: Mean residual of each calibration episode.
        current: Mean residual of each current episode.
        generator: Draws the permutations.
        permutations: How many.
        relabel: Which permutations are drawn.
    """
    values = np.array([*calibration, *current], dtype=float)
    least = np.finfo(float).tiny
    if not np.isfinite(values).all():
        return Tested(Measured(None, "a residual is not finite"), None)

    def effects(labels_be: Labels) -> FloatArray:
        rows_be = np.broadcast_to(values, labels_be.shape)
        medians, known = (
            np.median(rows_be[chosen].reshape(len(labels_be), -1), axis=1)
            for chosen in (labels_be, ~labels_be)
        )
        logs = [np.log10(np.maximum(side, least)) for side in (medians, known)]
        return np.asarray(logs[0] - logs[1])

    is_current = np.arange(len(values)) >= len(calibration)
    observed = float(effects(is_current[None])[0])
    shuffled = effects(relabel(is_current, permutations, generator))
    extreme = int((np.abs(shuffled) >= abs(observed) - _ROUNDING).sum())
    p_value = (extreme + 1) / (permutations + 1)
    if np.median(values[: len(calibration)]) <= least < np.median(values[len(calibration) :]):
        return Tested(Measured(None, "calibration residuals are 0: no ratio"), p_value)
    return Tested(Measured(observed), p_value)


def fewest_calibration_episodes(false_alarm_rate: float) -> int:
    """Fewest episodes from which a threshold for this rate can be had: 19 for 5 %."""
    return math.ceil(1 / false_alarm_rate - 1 - 1e-9)


def conformal_threshold(maxima: Sequence[float], false_alarm_rate: float) -> float:
    """The ceil((m+1)(1-alpha))-th smallest of m maxima: an episode like them exceeds it rarely.

    Args:
        maxima: Largest value of each calibration episode [m].
        false_alarm_rate: alpha; over the draw of the calibration episodes, a further episode of
            the same kind exceeds the threshold with this probability at most.

    Raises:
        ValueError: Too few episodes for this rate.
    """
    rank = math.ceil((len(maxima) + 1) * (1 - false_alarm_rate) - 1e-9)
    if rank > len(maxima):
        fewest = fewest_calibration_episodes(false_alarm_rate)
        raise ValueError(f"{len(maxima)} calibration episodes; {fewest} are needed")
    return float(np.sort(np.asarray(maxima, dtype=float))[rank - 1])


@dataclasses.dataclass(frozen=True)
class Delay:
    """Steps from the change to the alarm, over episodes.

    Attributes:
        median: Median delay; without a value unless more than half of the episodes alarmed.
        detected: Episodes with an alarm after the change.
        episodes: Episodes that lived to see the change.
    """

    median: Measured
    detected: int
    episodes: int


def detection_delay(delays: Sequence[float | None]) -> Delay:
    """Median delay; an episode that ended without an alarm counts as later than all others."""
    if not delays:
        return Delay(Measured(None, "no episode reached the change"), 0, 0)
    detected, count = sum(d is not None for d in delays), len(delays)
    median = measures.censored_median(delays)
    reason = f"later than the episodes' end: {detected} of {count} detected"
    return Delay(Measured(median, reason if median is None else ""), detected, count)

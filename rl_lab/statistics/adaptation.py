"""What continued learning in a shifted world gives back, and what it costs.

Everything is about one training seed: curves of scores over environment steps, on the scale where 0
is a random policy and 1 is solved. All formulas are affine in the return, so its sign does not
matter. What is undefined is a `Measured` without a value that says why; nothing here is ever NaN.
Formulas take the curves of many resamples at once, [..., p]; reasons are of one curve, [p].
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import scipy  # its submodules load on first use

from rl_lab.statistics import measures
from rl_lab.statistics.measures import LEARNED_SCORE
from rl_lab.statistics.resampling import FloatArray

LEAST_DROP = 0.05
RECOVERED_SHARE = 0.9
CONSECUTIVE = 3
_LEAST_ROOM = 0.05  # between training from scratch and a perfect curve, for a ratio to be told
MILD_SCORE = 0.9

NO_DROP = "no drop"
NOT_LEARNED = "nominal not learned"
NO_ROOM = "from scratch is near perfect"
ONE_EPISODE = "one episode: no telling whether the drop is one"
NO_SCRATCH = "no training from scratch to compare with"


@dataclasses.dataclass(frozen=True)
class Measured:
    """A number, or the reason why there is none.

    Attributes:
        value: The number; None where it is not defined.
        reason: Why there is none, or what limits it; "" where nothing does.
    """

    value: float | None
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Curves:
    """Scores of the snapshots of one continued training.

    Attributes:
        steps: Environment steps since the shift [p], ascending from 0 to the budget.
        shifted: Scores in the shifted world [..., p]; the first is the frozen policy's.
        original: Scores in the training world [..., p].
        scratch: Scores in the shifted world [..., p] of training from scratch with the same budget;
            None where there was none.
        drop_error: Standard error of `original[0] - shifted[0]`; None with one episode.
    """

    steps: Sequence[float]
    shifted: npt.ArrayLike
    original: npt.ArrayLike
    scratch: npt.ArrayLike | None
    drop_error: float | None

    def __post_init__(self) -> None:
        curves = [self.shifted, self.original, *([] if self.scratch is None else [self.scratch])]
        lengths = {len(self.steps), *(np.shape(curve)[-1] for curve in curves)}
        if len(lengths) != 1 or len(self.steps) < 2 or self.steps[0] != 0:
            raise ValueError("curves share their steps: two points or more, the first at step 0")

    @property
    def budget(self) -> float:
        """Environment steps of the whole continued training."""
        return self.steps[-1]


@dataclasses.dataclass(frozen=True)
class Measure:
    """A number of curves that is not defined for all of them.

    Attributes:
        formula: Maps curves [..., p] to [...].
        undefined: Why one curve has no such number; "" where it has.
    """

    formula: Callable[[Curves], FloatArray]
    undefined: Callable[[Curves], str]

    def __call__(self, curves: Curves) -> Measured:
        """The number of one curve."""
        if reason := self.undefined(curves):
            return Measured(None, reason)
        return Measured(float(self.formula(curves)))


def always(formula: Callable[[Curves], FloatArray]) -> Measure:
    """A number that every curve has."""
    return Measure(formula, lambda curves: "")


def _at(curve: npt.ArrayLike, point: int) -> FloatArray:
    return np.asarray(curve, dtype=float)[..., point]


def drop(curves: Curves) -> FloatArray:
    """Damage done by the shift: S_0(c0) - S_0(c); negative where the shift made it easier."""
    return _at(curves.original, 0) - _at(curves.shifted, 0)


def has_drop(curves: Curves) -> bool:
    """Whether the drop is one: positive and beyond both 0.05 and twice its standard error."""
    error = curves.drop_error
    return error is not None and bool(drop(curves) >= max(LEAST_DROP, 2 * error))


def nominal_learned(curves: Curves) -> bool:
    """Whether the frozen policy had learned anything in its own world."""
    return bool(_at(curves.original, 0) >= LEARNED_SCORE)


def _no_scratch(curves: Curves) -> str:
    return NO_SCRATCH if curves.scratch is None else ""


def _head_start(curves: Curves) -> FloatArray:
    assert curves.scratch is not None
    return _at(curves.shifted, 0) - _at(curves.scratch, 0)


def _regained(curves: Curves) -> FloatArray:
    # Resampled episodes may have lost nothing; such a share has no limit.
    with np.errstate(divide="ignore", invalid="ignore"):
        return (_at(curves.shifted, -1) - _at(curves.shifted, 0)) / drop(curves)


def _no_recovery(curves: Curves) -> str:
    """Why there is nothing to recover; "" where there is."""
    if not nominal_learned(curves):
        return NOT_LEARNED
    if curves.drop_error is None:
        return ONE_EPISODE
    if has_drop(curves):
        return ""
    lost = drop(curves)
    if lost <= -max(LEAST_DROP, 2 * curves.drop_error):
        return f"{NO_DROP}: the shift made it easier"
    if _at(curves.shifted, 0) >= MILD_SCORE:
        return f"{NO_DROP}: the shift is too mild, choose a harder one"
    return NO_DROP


# What the old policy is worth at step 0: S_0(c) - S^scr_0(c) (Taylor and Stone 2009).
jumpstart = Measure(_head_start, _no_scratch)
# Share of the drop that was regained: 0 nothing, 1 all, above 1 better, below 0 worse.
recovery_ratio = Measure(_regained, _no_recovery)


@dataclasses.dataclass(frozen=True)
class Recovery:
    """When a policy was back, or that it was not.

    Attributes:
        steps: First step of the recovery; the budget where there was none; None where there was
            nothing to recover.
        reached: Whether it came back; false with `steps` means "more than `steps`".
        reason: Why `steps` is None; else "".
    """

    steps: float | None
    reached: bool
    reason: str = ""


def steps_to_recover(curves: Curves) -> Recovery:
    """First step from which 90 % of the drop is regained in 3 consecutive evaluations."""
    if reason := _no_recovery(curves):
        return Recovery(None, False, reason)
    threshold = _at(curves.shifted, 0) + RECOVERED_SHARE * drop(curves)
    above = [bool(score >= threshold) for score in np.asarray(curves.shifted, dtype=float)]
    for i in range(len(above) - CONSECUTIVE + 1):
        if all(above[i : i + CONSECUTIVE]):
            return Recovery(float(curves.steps[i]), True)
    return Recovery(float(curves.budget), False)


@dataclasses.dataclass(frozen=True)
class RecoverySummary:
    """Steps to recover over training seeds.

    Attributes:
        reached: Seeds that recovered.
        seeds: Seeds that had something to recover.
        median: Median over those seeds; without a value unless more than half recovered.
        restricted_mean: Mean of min(T, budget); a lower bound of the mean where not all did.
    """

    reached: int
    seeds: int
    median: Measured
    restricted_mean: Measured


def summarize(recoveries: Sequence[Recovery]) -> RecoverySummary:
    """Summarize over training seeds without mistaking a censored value for a measured one."""
    known = [r for r in recoveries if r.steps is not None]
    if not known:
        reasons = sorted({r.reason for r in recoveries}) or ["no training seed"]
        missing = Measured(None, "; ".join(reasons))
        return RecoverySummary(0, 0, missing, missing)
    steps = [float(r.steps or 0.0) for r in known]
    reached = sum(r.reached for r in known)
    share = f"{reached} of {len(known)} training seeds recovered"
    found = measures.censored_median([r.steps if r.reached else None for r in known])
    median = Measured(found, f"> budget: {share}" if found is None else "")
    note = "" if reached == len(known) else f"at least: {share}"
    return RecoverySummary(reached, len(known), median, Measured(statistics.fmean(steps), note))


def adaptation_gain(curves: Curves) -> FloatArray:
    """Area between the adapting and the frozen curve: (1/N) integral of S_n(c) - S_0(c)."""
    gained = np.asarray(curves.shifted, dtype=float) - _at(curves.shifted, 0)[..., None]
    return _mean_over(curves.steps, gained)


def _mean_over(steps: Sequence[float], values: FloatArray) -> FloatArray:
    area = scipy.integrate.trapezoid(values, np.asarray(steps, dtype=float), axis=-1)
    return np.asarray(area / (steps[-1] - steps[0]))


def _clipped_area(curves: Curves, scores: npt.ArrayLike | None) -> FloatArray:
    assert scores is not None
    return _mean_over(curves.steps, np.clip(np.asarray(scores, dtype=float), 0.0, 1.0))


def has_room(curves: Curves) -> bool:
    """Whether training from scratch leaves enough to gain for a ratio to be told."""
    if curves.scratch is None:
        return True
    return bool(1.0 - _clipped_area(curves, curves.scratch) >= _LEAST_ROOM)


def _no_ratio(curves: Curves) -> str:
    return _no_scratch(curves) or ("" if has_room(curves) else NO_ROOM)


def _lead(curves: Curves) -> FloatArray:
    return _clipped_area(curves, curves.shifted) - _clipped_area(curves, curves.scratch)


def _lead_of_room(curves: Curves) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _lead(curves) / (1.0 - _clipped_area(curves, curves.scratch))


# Whether the past helps: (A - A_scr) / (1 - A_scr), A the mean clipped score (2105.10919). Where
# training from scratch leaves less than 0.05 of room there is none; `area_difference` is.
forward_transfer = Measure(_lead_of_room, _no_ratio)
# A - A_scr: what stands for the transfer where from scratch is near perfect.
area_difference = Measure(_lead, _no_scratch)


def dip(curves: Curves) -> FloatArray:
    """Transient harm while adapting: max(0, S_0(c) - min_n S_n(c)) (the stability gap)."""
    lowest = np.asarray(curves.shifted, dtype=float).min(axis=-1)
    return np.asarray(np.maximum(0.0, _at(curves.shifted, 0) - lowest))


def forgetting(curves: Curves) -> FloatArray:
    """What the training world lost: S_0(c0) - S_N(c0); negative is backward transfer."""
    return _at(curves.original, 0) - _at(curves.original, -1)

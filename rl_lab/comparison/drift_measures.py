"""What drift did to one training seed's episodes, each paired with its evaluation seed's twin.

Every number comes with what its interval is of: the seed's episodes, where they can be resampled.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rl_lab import seeding
from rl_lab.drift_records import DriftRecord
from rl_lab.statistics import drift
from rl_lab.statistics.adaptation import Measured
from rl_lab.statistics.drift import Tested
from rl_lab.statistics.resampling import FloatArray
from rl_lab.statistics.scale import Scale
from rl_lab.statistics.seeds import Seed

NOT_REACHED = "no episode reached the change"
UNKNOWN = "of no episode is it known"


@dataclasses.dataclass(frozen=True)
class Setup:
    """What all contestants of a drift block share.

    Attributes:
        shift: The shift's name.
        delta: The magnitude that the schedule moves to.
        schedule: The schedule as plain data.
        change_step: Steps of an episode before the change.
        change_episode: Episodes before the change; None where the clock are steps.
        horizon: Steps after the change at which survival is taken.
        termination: What an end before the limit means: `goal`, `failure`, `either` or `never`;
            None where it is not known.
    """

    shift: str
    delta: float
    schedule: Mapping[str, Any]
    change_step: int
    change_episode: int | None
    horizon: int
    termination: str | None


@dataclasses.dataclass(frozen=True)
class Pairs:
    """One training seed's episodes, of the same evaluation seeds in both worlds.

    With episodes for a clock, those from the change on.
    """

    moved: Sequence[DriftRecord]
    still: Sequence[DriftRecord]
    setup: Setup
    scale: Scale | str
    memory: bool


# A number of a training seed and what its interval is of; None for what has none over episodes.
Found = tuple[Measured, Seed | None]


def of_seed(pairs: Pairs) -> dict[str, Found]:
    """Everything that is measured on one training seed's pairs."""
    return {
        **_loss(pairs),
        **_survival(pairs),
        "within_episode_recovery": _recovery(pairs),
        **_alarms(pairs),
        **_shifts(pairs),
    }


def _mean(values: Iterable[float | None], reason: str = UNKNOWN) -> Found:
    """The mean of what is known of the episodes; without any, the reason."""
    column_k = np.array([np.nan if value is None else value for value in values], dtype=float)
    seed = Seed(column_k, _known_mean)
    mean = float(seed.value(column_k))
    return (Measured(None, reason) if np.isnan(mean) else Measured(mean)), seed


def _known_mean(values: FloatArray) -> FloatArray:
    """The mean over the last axis of what is not NaN; NaN where all of it is."""
    count = (~np.isnan(values)).sum(axis=-1)
    mean = np.nansum(values, axis=-1) / np.maximum(count, 1)
    return np.asarray(np.where(count > 0, mean, np.nan))


def _loss(pairs: Pairs) -> dict[str, Found]:
    """Reward lost after the change, paired by seed; an episode that has ended earns nothing."""
    start = pairs.setup.change_step
    both = list(zip(pairs.moved, pairs.still, strict=True))
    lost = [s.return_after - m.return_after for m, s in both]
    steps = [max(m.length, s.length) - start for m, s in both]
    per_step = [one / count if count > 0 else None for one, count in zip(lost, steps, strict=True)]
    score: Found = Measured(None, str(pairs.scale)), None
    if isinstance(pairs.scale, Scale):
        span = pairs.scale.solved - pairs.scale.random
        measured, seed = _mean(one / span for one in lost)
        # A number comes with what its scale is relative to; a missing one keeps its own reason.
        reason = measured.reason if measured.value is None else pairs.scale.label
        score = dataclasses.replace(measured, reason=reason), seed
    return {"loss_per_step": _mean(per_step, NOT_REACHED), "loss_score": score}


def _survival(pairs: Pairs) -> dict[str, Found]:
    if pairs.setup.termination == "goal":
        reached: Found = Measured(None, "here an episode ends when the task is done"), None
        return {"survival": reached, "survival_no_drift": reached}
    until = pairs.setup.change_step + pairs.setup.horizon

    def share(records: Sequence[DriftRecord]) -> Found:
        return _mean(not (r.terminated and r.length <= until) for r in records)

    return {"survival": share(pairs.moved), "survival_no_drift": share(pairs.still)}


def _recovery(pairs: Pairs) -> Found:
    if pairs.setup.change_episode is not None:
        return Measured(None, "the world moves from one episode to the next"), None
    if not pairs.memory:
        return Measured(None, "a policy without memory cannot adapt within an episode"), None
    return _mean([r.recovery for r in pairs.moved], "no episode has three steps after the change")


def delays(pairs: Pairs) -> list[int | None]:
    """Steps from the change to the alarm of each episode that lived to see the change.

    An alarm before the change is a false one; the episode counts as not detected.
    """
    return [_delay(r, pairs.setup) for r in pairs.moved if _reached(r, pairs.setup)]


def _reached(record: DriftRecord, setup: Setup) -> bool:
    return record.length > setup.change_step


def _delay(record: DriftRecord, setup: Setup) -> int | None:
    first = setup.change_step + 1  # the observation that still comes from before
    if record.alarm_step is None or record.alarm_step <= first:
        return None
    return record.alarm_step - first


def _alarms(pairs: Pairs) -> dict[str, Found]:
    if pairs.moved[0].false_alarm_rate is None:
        missing: Found = Measured(None, no_monitor(pairs.moved)), None
        keys = ("false_alarm_rate", "detection_rate", "delay_steps", "delay_episodes")
        return dict.fromkeys(keys, missing)
    setup = pairs.setup
    seen = [_delay(r, setup) is not None if _reached(r, setup) else None for r in pairs.moved]
    return {
        "false_alarm_rate": _mean(r.alarm_step is not None for r in pairs.still),
        "detection_rate": _mean(seen, NOT_REACHED),
        "delay_steps": (drift.detection_delay(delays(pairs)).median, None),
        "delay_episodes": (_first_alarm(pairs, seen), None),
    }


def _first_alarm(pairs: Pairs, seen: Sequence[bool | None]) -> Measured:
    """Whole episodes in the moving world before the first with an alarm."""
    if pairs.setup.change_episode is None:
        return Measured(None, "the world moves within the episode")
    first = next((i for i, alarm in enumerate(seen) if alarm), None)
    if first is None:
        return Measured(None, f"later than {len(seen)} episodes")
    return Measured(float(first))


def _shifts(pairs: Pairs) -> dict[str, Found]:
    """Effects and p-values of what was seen after the change, moving against not moving.

    Not against the reference: late in an episode a policy is elsewhere than early, drift or no
    drift. Episodes on one seed are a pair: both have to have reached the change, and a permutation
    changes places within pairs only.
    """
    generator = seeding.generator(0, "drift")
    usual = pairs.moved[0].reference_novelty
    observed = _tested(pairs, lambda r: r.samples, lambda m, s: _obs_shift(pairs, m, s, generator))
    answered = _tested(
        pairs,
        lambda r: r.residual_after,
        lambda m, s: drift.dynamics_shift(s, m, generator, relabel=drift.within_pairs),
    )
    reference = Measured(usual, no_monitor(pairs.moved) if usual is None else "")
    return {
        # A distance between samples only grows where episodes are resampled: no interval of those.
        "obs_shift": (observed.effect, None),
        "obs_shift_p": (_p_value(observed), None),
        "dynamics_shift": (answered.effect, Seed(_residuals(pairs), _growth)),
        "dynamics_shift_p": (_p_value(answered), None),
        "novelty_rate": _novelty(pairs.moved),
        "novelty_rate_no_drift": _novelty(pairs.still),
        "novelty_rate_reference": (reference, None),
    }


def _residuals(pairs: Pairs) -> FloatArray:
    """Mean residuals of both sides [k, 2], moved and still; NaN where not both are known."""
    both = [
        (m.residual_after, s.residual_after) for m, s in zip(pairs.moved, pairs.still, strict=True)
    ]
    nothing = (np.nan, np.nan)
    return np.array([pair if None not in pair else nothing for pair in both], dtype=float)


def _growth(residuals: FloatArray) -> FloatArray:
    """log10 of the ratio of the medians of [..., k, 2], as `drift.dynamics_shift` has it."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample without a known pair is NaN
        medians = np.nanmedian(residuals, axis=-2)
    logs = np.log10(np.maximum(medians, np.finfo(float).tiny))
    return np.asarray(logs[..., 0] - logs[..., 1])


def _p_value(tested: Tested) -> Measured:
    return Measured(tested.p_value, tested.effect.reason if tested.p_value is None else "")


def _tested(
    pairs: Pairs,
    of: Callable[[DriftRecord], Any],
    test: Callable[[list[Any], list[Any]], Tested],
) -> Tested:
    both = [(of(m), of(s)) for m, s in zip(pairs.moved, pairs.still, strict=True)]
    known = [pair for pair in both if all(v is not None and np.size(v) for v in pair)]
    if not known:
        reason = no_monitor(pairs.moved) or "no episode reached the change in both worlds"
        return Tested(Measured(None, reason), None)
    return test([m for m, _ in known], [s for _, s in known])


def _obs_shift(
    pairs: Pairs, moved: list[Any], still: list[Any], generator: np.random.Generator
) -> Tested:
    sd_s = pairs.moved[0].sd_s
    assert sd_s is not None
    if not all(np.isfinite(sample).all() for sample in (*moved, *still)):
        return Tested(Measured(None, "an observation is not finite"), None)
    if pairs.moved[0].categories:
        known, new = ([rows.argmax(axis=1) for rows in side] for side in (still, moved))
        return drift.category_shift(known, new, generator, relabel=drift.within_pairs)
    return drift.obs_shift(still, moved, sd_s, generator, relabel=drift.within_pairs)


def _novelty(records: Sequence[DriftRecord]) -> Found:
    return _mean([r.novelty_after for r in records], no_monitor(records) or NOT_REACHED)


def no_monitor(records: Iterable[DriftRecord]) -> str:
    """Why episodes were lived without a monitor; "" where none was."""
    return "; ".join(sorted({r.no_monitor for r in records if r.no_monitor}))

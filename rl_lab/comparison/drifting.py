"""The block `drift` of `scores.json`: a frozen policy while the world changes under it.

Episodes are paired: the same evaluation seed with the context moving and without. Every number is
computed per training seed; intervals are Student's t over the training seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rl_lab import seeding
from rl_lab.comparison.adaptability import over_seeds
from rl_lab.drift_records import DriftRecord
from rl_lab.statistics import drift, measures
from rl_lab.statistics.adaptation import Measured, Scale
from rl_lab.statistics.drift import Tested

_NOT_REACHED = "no episode reached the change"
# Measures that are shares; their intervals end at 0 and 1.
_SHARES = ("survival", "false_alarm_rate", "detection_rate", "novelty_rate")


@dataclasses.dataclass(frozen=True)
class Setup:
    """What all contestants of a drift block share.

    Attributes:
        shift: The shift's name.
        delta: The magnitude that the schedule moves to.
        schedule: The schedule as plain data.
        change_step: Steps before the change.
        horizon: Steps after the change at which survival is taken.
    """

    shift: str
    delta: float
    schedule: Mapping[str, Any]
    change_step: int
    horizon: int


@dataclasses.dataclass(frozen=True)
class _Pairs:
    """One training seed's episodes, sorted by evaluation seed in both worlds."""

    moved: Sequence[DriftRecord]
    still: Sequence[DriftRecord]
    setup: Setup
    scale: Scale | str
    memory: bool


def blocks(
    records: Sequence[DriftRecord],
    setup: Setup,
    scale: Scale | str,
    with_memory: Mapping[str, bool],
) -> dict[str, Any]:
    """The block of every contestant.

    Args:
        records: Episodes of all contestants in both worlds.
        setup: What they share.
        scale: Which returns count as 0 and 1, or why there is no scale.
        with_memory: Whether a contestant's policies carry a state through the episode.
    """
    names = sorted({r.contestant for r in records})
    return {
        name: _block([r for r in records if r.contestant == name], setup, scale, with_memory[name])
        for name in names
    }


def _block(
    records: Sequence[DriftRecord], setup: Setup, scale: Scale | str, memory: bool
) -> dict[str, Any]:
    whole: dict[int, _Pairs] = {}
    for seed in sorted({r.training_seed for r in records}):
        mine = [r for r in records if r.training_seed == seed]
        moved, still = ([r for r in mine if r.drift is kind] for kind in (True, False))
        if moved and [r.evaluation_seed for r in moved] == [r.evaluation_seed for r in still]:
            whole[seed] = _Pairs(moved, still, setup, scale, memory)
    # Seeds are compared on equal terms: one that was cut off after fewer episodes is not whole.
    most = max((len(pairs.moved) for pairs in whole.values()), default=0)
    whole = {seed: pairs for seed, pairs in whole.items() if len(pairs.moved) == most}
    if not whole:
        return {"drift": None, "drift_reason": "no training seed has all its episodes"}
    gone = sorted({r.training_seed for r in records} - set(whole))
    left_out = {"left_out": gone, "left_out_reason": "episodes are missing"} if gone else {}
    return {"drift": {**_summary(whole, records, setup), **left_out}}


def _summary(
    whole: Mapping[int, _Pairs], records: Sequence[DriftRecord], setup: Setup
) -> dict[str, Any]:
    found = {seed: _of_seed(pairs) for seed, pairs in whole.items()}
    watched = [p for p in whole.values() if p.moved[0].false_alarm_rate is not None]
    delays = [delay for pairs in watched for delay in _delays(pairs)]

    def over(name: str, key: str) -> dict[str, Any]:
        bounds = (0.0, 1.0) if name.startswith(_SHARES) else (-np.inf, np.inf)
        return over_seeds(key, [values[name] for values in found.values()], bounds)

    declared = watched[0].moved[0].false_alarm_rate if watched else None
    detection: dict[str, Any] = {"detection": None, "detection_reason": _no_monitor(records)}
    if declared is not None:
        detection = {
            "detection": {
                "declared_false_alarm_rate": declared,
                **over("false_alarm_rate", "false_alarm_rate"),
                **over("detection_rate", "detection_rate"),
                "detected": sum(d is not None for d in delays),
                "episodes": len(delays),
                **_median_delay(found),
            }
        }
    return {
        **{f.name: getattr(setup, f.name) for f in dataclasses.fields(setup)},
        "episodes": len(next(iter(whole.values())).moved),
        "training_seeds": list(found),
        **over("loss_per_step", "loss_per_step"),
        **over("loss_score", "loss_score"),
        "survival": {
            **over("survival", "drift"),
            **over("survival_no_drift", "no_drift"),
            **_ended_alone(whole.values()),
        },
        **over("within_episode_recovery", "within_episode_recovery"),
        **detection,
        **over("obs_shift", "obs_shift"),
        **over("dynamics_shift", "dynamics_shift"),
        "novelty_rate": {
            **over("novelty_rate", "drift"),
            **over("novelty_rate_no_drift", "no_drift"),
            **over("novelty_rate_reference", "reference"),
        },
        "per_seed": {str(seed): _plain(values) for seed, values in found.items()},
    }


def _plain(values: Mapping[str, Measured]) -> dict[str, Any]:
    reasons = {f"{name}_reason": m.reason for name, m in values.items() if m.reason}
    return {**{name: m.value for name, m in values.items()}, **reasons}


def _median_delay(found: Mapping[int, Mapping[str, Measured]]) -> dict[str, Any]:
    """The median over training seeds of their median delays.

    A seed without a monitor, or whose episodes all ended before the change, has no delay, not even
    a late one.
    """
    delays = [
        values["delay_steps"]
        for values in found.values()
        if values["detection_rate"].value is not None
    ]
    reasons = sorted({d.reason for d in delays if d.reason})
    median = measures.censored_median([d.value for d in delays])
    return {
        "delay_steps": median,
        "delay_steps_reason": "; ".join(reasons) or ("" if delays else _NOT_REACHED),
    }


def _no_monitor(records: Sequence[DriftRecord]) -> str:
    return "; ".join(sorted({r.no_monitor for r in records if r.no_monitor}))


def _of_seed(pairs: _Pairs) -> dict[str, Measured]:
    return {
        **_loss(pairs),
        **_survival(pairs),
        "within_episode_recovery": _recovery(pairs),
        **_alarms(pairs),
        **_shifts(pairs),
    }


def _loss(pairs: _Pairs) -> dict[str, Measured]:
    """Reward lost after the change, paired by seed; an episode that has ended earns nothing."""
    start = pairs.setup.change_step
    lost = np.array(
        [s.return_after - m.return_after for m, s in zip(pairs.moved, pairs.still, strict=True)]
    )
    longest = [
        max(m.length, s.length) - start for m, s in zip(pairs.moved, pairs.still, strict=True)
    ]
    known = [loss / steps for loss, steps in zip(lost, longest, strict=True) if steps > 0]
    per_step = Measured(None, _NOT_REACHED)
    if known:
        per_step = Measured(float(np.mean(known)))
    score = Measured(None, str(pairs.scale))
    if isinstance(pairs.scale, Scale):
        span = pairs.scale.solved - pairs.scale.random
        score = Measured(float(lost.mean() / span), pairs.scale.label)
    return {"loss_per_step": per_step, "loss_score": score}


def _survival(pairs: _Pairs) -> dict[str, Measured]:
    until = pairs.setup.change_step + pairs.setup.horizon

    def share(records: Sequence[DriftRecord]) -> Measured:
        alive = [not (r.terminated and r.length <= until) for r in records]
        return Measured(float(np.mean(alive)))

    return {"survival": share(pairs.moved), "survival_no_drift": share(pairs.still)}


def _ended_alone(whole: Iterable[_Pairs]) -> dict[str, str]:
    """A caution where an unchanged world ends episodes too: that may be what the task asks for."""
    if not any(r.terminated for pairs in whole for r in pairs.still):
        return {}
    return {"reason": "episodes end without drift too; where that is the goal, it is no death"}


def _recovery(pairs: _Pairs) -> Measured:
    if not pairs.memory:
        return Measured(None, "a policy without memory cannot adapt within an episode")
    known = [r.recovery for r in pairs.moved if r.recovery is not None]
    if not known:
        return Measured(None, "no episode has three steps after the change")
    return Measured(float(np.mean(known)))


def _delays(pairs: _Pairs) -> list[int | None]:
    """Steps from the change to the alarm of each episode that lived to see the change.

    An alarm before the change is a false one; the episode counts as not detected.
    """
    start = pairs.setup.change_step
    return [
        None if r.alarm_step is None or r.alarm_step <= start + 1 else r.alarm_step - start - 1
        for r in pairs.moved
        if r.length > start
    ]


def _alarms(pairs: _Pairs) -> dict[str, Measured]:
    if pairs.moved[0].false_alarm_rate is None:
        missing = Measured(None, _no_monitor(pairs.moved))
        return dict.fromkeys(("false_alarm_rate", "detection_rate", "delay_steps"), missing)
    delays = _delays(pairs)
    found = drift.detection_delay(delays)
    rate = Measured(None, _NOT_REACHED)
    if found.episodes:
        rate = Measured(found.detected / found.episodes)
    false = float(np.mean([r.alarm_step is not None for r in pairs.still]))
    return {
        "false_alarm_rate": Measured(false),
        "detection_rate": rate,
        "delay_steps": found.median,
    }


def _shifts(pairs: _Pairs) -> dict[str, Measured]:
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
    return {
        "obs_shift": observed.effect,
        "obs_shift_p": _p_value(observed),
        "dynamics_shift": answered.effect,
        "dynamics_shift_p": _p_value(answered),
        "novelty_rate": _novelty(pairs.moved),
        "novelty_rate_no_drift": _novelty(pairs.still),
        "novelty_rate_reference": Measured(
            usual, _no_monitor(pairs.moved) if usual is None else ""
        ),
    }


def _p_value(tested: Tested) -> Measured:
    return Measured(tested.p_value, tested.effect.reason if tested.p_value is None else "")


def _tested(
    pairs: _Pairs,
    of: Callable[[DriftRecord], Any],
    test: Callable[[list[Any], list[Any]], Tested],
) -> Tested:
    both = [(of(m), of(s)) for m, s in zip(pairs.moved, pairs.still, strict=True)]
    known = [pair for pair in both if all(v is not None and np.size(v) for v in pair)]
    if not known:
        reason = _no_monitor(pairs.moved) or "no episode reached the change in both worlds"
        return Tested(Measured(None, reason), None)
    return test([m for m, _ in known], [s for _, s in known])


def _obs_shift(
    pairs: _Pairs, moved: list[Any], still: list[Any], generator: np.random.Generator
) -> Tested:
    sd_s = pairs.moved[0].sd_s
    assert sd_s is not None
    if not all(np.isfinite(sample).all() for sample in (*moved, *still)):
        return Tested(Measured(None, "an observation is not finite"), None)
    if pairs.moved[0].categories:
        known, new = ([rows.argmax(axis=1) for rows in side] for side in (still, moved))
        return drift.category_shift(known, new, generator, relabel=drift.within_pairs)
    return drift.obs_shift(still, moved, sd_s, generator, relabel=drift.within_pairs)


def _novelty(records: Sequence[DriftRecord]) -> Measured:
    known = [r.novelty_after for r in records if r.novelty_after is not None]
    if not known:
        return Measured(None, _no_monitor(records) or _NOT_REACHED)
    return Measured(float(np.mean(known)))

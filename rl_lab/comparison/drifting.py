"""The block `drift` of `scores.json`: a frozen policy while the world changes under it.

Episodes are paired: the same evaluation seed with the context moving and without. Every number is
computed per training seed; intervals are as `statistics.seeds` has them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from rl_lab.comparison import drift_measures, measuring
from rl_lab.comparison.drift_measures import NOT_REACHED, Found, Pairs, Setup, no_monitor
from rl_lab.drift_records import DriftRecord
from rl_lab.statistics import measures
from rl_lab.statistics.scale import Scale

# Measures that are shares; their intervals end at 0 and 1.
_SHARES = ("survival", "false_alarm_rate", "detection_rate", "novelty_rate")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A contestant, as this block takes it.

    Attributes:
        memory: Its policies carry a state through the episode.
        training_seeds: Those that were to be evaluated, whether they have episodes or not.
    """

    memory: bool
    training_seeds: Collection[int]


def blocks(
    records: Sequence[DriftRecord],
    setups: Sequence[Setup],
    scale: Scale | str,
    subjects: Mapping[str, Subject],
    evaluation_seeds: Sequence[int],
) -> dict[str, Any]:
    """The blocks of every contestant, one for each shift that moved.

    Args:
        records: Episodes of all contestants in all worlds.
        setups: What the contestants share, for each shift.
        scale: Which returns count as 0 and 1, or why there is no scale.
        subjects: The contestants by name.
        evaluation_seeds: The published ones that were asked for; where episodes are the clock,
            their order is that of time.

    Returns:
        Contestant -> `{drift: [...]}`, or `{drift: null, drift_reason}`.
    """
    if not setups:
        nothing = {"drift": None, "drift_reason": "no schedule was evaluated"}
        return dict.fromkeys(subjects, nothing)
    made = {}
    for name, subject in subjects.items():
        mine = [r for r in records if r.contestant == name]
        made[name] = {"drift": [_block(mine, s, scale, subject, evaluation_seeds) for s in setups]}
    return made


def _block(
    records: Sequence[DriftRecord],
    setup: Setup,
    scale: Scale | str,
    subject: Subject,
    evaluation_seeds: Sequence[int],
) -> dict[str, Any]:
    faced = [r for r in records if not r.drift or r.shift == setup.shift]
    asked = evaluation_seeds[setup.change_episode or 0 :]
    # Training seeds are compared on equal terms: on all of the same evaluation seeds.
    whole: dict[int, Pairs] = {}
    short: dict[int, str] = {}
    for seed in sorted(subject.training_seeds):
        mine = [r for r in faced if r.training_seed == seed]
        pairs = _pairs(mine, asked, setup, scale, subject.memory)
        if len(pairs.moved) == len(asked) > 0:
            whole[seed] = pairs
        else:
            short[seed] = f"training seed {seed} has {len(pairs.moved)} of {len(asked)} pairs"
    head = {f.name: getattr(setup, f.name) for f in dataclasses.fields(setup)}
    if not whole:
        return {**head, "training_seeds": [], "reason": "no training seed has all its episodes"}
    missing = f"episodes are missing: {', '.join(short.values())}"
    left_out = {"left_out": list(short), "left_out_reason": missing} if short else {}
    return {**head, **_summary(whole, faced), **left_out}


def _pairs(
    records: Sequence[DriftRecord],
    asked: Sequence[int],
    setup: Setup,
    scale: Scale | str,
    memory: bool,
) -> Pairs:
    """A training seed's episodes side by side, of those evaluation seeds that both worlds have."""
    moved, still = ({r.evaluation_seed: r for r in records if r.drift is k} for k in (True, False))
    both = [seed for seed in asked if seed in moved and seed in still]
    return Pairs([moved[s] for s in both], [still[s] for s in both], setup, scale, memory)


def _summary(whole: Mapping[int, Pairs], records: Sequence[DriftRecord]) -> dict[str, Any]:
    found = {seed: drift_measures.of_seed(pairs) for seed, pairs in whole.items()}
    watched = [p for p in whole.values() if p.moved[0].false_alarm_rate is not None]
    delays = [delay for pairs in watched for delay in drift_measures.delays(pairs)]

    def over(name: str, key: str) -> dict[str, Any]:
        bounds = (0.0, 1.0) if name.startswith(_SHARES) else measuring.ANY
        return measuring.stated(key, [values[name] for values in found.values()], bounds)

    declared = watched[0].moved[0].false_alarm_rate if watched else None
    detection: dict[str, Any] = {"detection": None, "detection_reason": no_monitor(records)}
    if declared is not None:
        detection = {
            "detection": {
                "declared_false_alarm_rate": declared,
                **over("false_alarm_rate", "false_alarm_rate"),
                **over("detection_rate", "detection_rate"),
                "detected": sum(d is not None for d in delays),
                "episodes": len(delays),
                **_median_delay(found, "delay_steps"),
                **_median_delay(found, "delay_episodes"),
            }
        }
    return {
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


def _plain(values: Mapping[str, Found]) -> dict[str, Any]:
    reasons = {f"{name}_reason": m.reason for name, (m, _) in values.items() if m.reason}
    return {**{name: m.value for name, (m, _) in values.items()}, **reasons}


def _median_delay(found: Mapping[int, Mapping[str, Found]], key: str) -> dict[str, Any]:
    """The median over training seeds of their median delays.

    A seed without a monitor, or whose episodes all ended before the change, has no delay, not even
    a late one.
    """
    delays = [
        values[key][0] for values in found.values() if values["detection_rate"][0].value is not None
    ]
    reasons = sorted({d.reason for d in delays if d.reason})
    median = measures.censored_median([d.value for d in delays])
    return {
        key: median,
        f"{key}_reason": "; ".join(reasons) or ("" if delays else NOT_REACHED),
    }


def _ended_alone(whole: Iterable[Pairs]) -> dict[str, str]:
    """A caution where an unchanged world ends episodes too: that may be what the task asks for."""
    if any(pairs.setup.termination in ("goal", "failure") for pairs in whole):
        return {}
    if not any(r.terminated for pairs in whole for r in pairs.still):
        return {}
    return {"reason": "episodes end without drift too; where that is the goal, it is no death"}

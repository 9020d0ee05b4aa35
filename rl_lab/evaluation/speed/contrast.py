"""Training against inference: what the training cost beside a decision and an episode."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rl_lab.evaluation.speed.settings import missing

_NO_RUN = "the training's cost is not known: the policy came without its run"
_NO_EPISODE = "no episode in the training context"


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known of a contestant beside its decisions.

    Attributes:
        training_s: Wall time of its training; None where the run is not at hand.
        training_joules: What the processor packages spent meanwhile; None where that is not known.
        no_joules: Why not; "" where it is.
        episode_steps: Mean length of its episodes in the training context, or None.
    """

    training_s: float | None
    training_joules: float | None
    no_joules: str
    episode_steps: float | None


def contrast(known: Known, times: Mapping[str, Any]) -> dict[str, Any]:
    """The cost of an episode, and the decisions that cost as much as training did.

    Both sides are gross: what the whole package spent, its rest included.

    Args:
        known: About the contestant.
        times: Its part of `speed.json`: `mean_us` and `energy`.
    """
    decision_s = times["mean_us"] / 1e6
    decision_j, no_energy = _decision_joules(times)
    by_time, by_energy = "amortisation_decisions", "amortisation_decisions_by_energy"
    data = _ratio(by_time, known.training_s, decision_s, _NO_RUN)
    spent = known.training_joules if decision_j else None
    why = known.no_joules or no_energy or "the counter did not move"
    why = _NO_RUN if known.training_s is None else why
    data |= _ratio(by_energy, spent, decision_j or 1.0, why)
    if known.episode_steps is None:
        return data | missing("episode", _NO_EPISODE)
    steps = known.episode_steps
    energy = missing("joules", no_energy)
    if decision_j is not None:
        energy = {"joules": _digits(steps * decision_j)}
    return data | {"episode": {"steps": steps, "seconds": _digits(steps * decision_s), **energy}}


def _decision_joules(times: Mapping[str, Any]) -> tuple[float | None, str]:
    """Gross joules of one decision, or None and why."""
    energy = times.get("energy")
    if energy is None:
        return None, str(times.get("energy_reason"))
    gross = energy.get("gross_joules_per_1000")
    return (None, str(energy["joules_per_1000_reason"])) if gross is None else (gross / 1000, "")


def _ratio(key: str, whole: float | None, one: float, why: str) -> dict[str, Any]:
    return missing(key, why) if whole is None else {key: round(whole / one)}


def _digits(value: float) -> float:
    """Six significant digits: decisions take from nanojoules to joules."""
    return float(f"{value:.6g}")

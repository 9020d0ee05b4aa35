"""What trainings cost, from their runs' cards, for the files of an evaluation."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab.energy import UNAVAILABLE
from rl_lab.evaluation import speed
from rl_lab.records import EpisodeRecord
from rl_lab.shifts.context import NO_SHIFT

_MEANS = ("seconds", "cpu_seconds", "peak_memory_bytes", "steps", "gradient_updates")
_NOT_COUNTED = "a run's version of rl-lab did not count energy"


def training(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Means over a contestant's training seeds; None without a run."""
    if not cards:
        return None
    means = {key: statistics.fmean(card[key] for card in cards) for key in _MEANS}
    return {**means, "energy": _energy(cards), "settings": cards[0]["settings"]}


def _energy(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean joules; one run that does not know them leaves the mean unknown."""
    found = [card.get("energy") or {} for card in cards]
    sources = sorted({one.get("source", UNAVAILABLE) for one in found})
    data: dict[str, Any] = {"source": ", or ".join(sources)}
    for key in ("joules", "gpu_joules"):
        values = [one.get(key) for one in found]
        known = [value for value in values if value is not None]
        data[key] = statistics.fmean(known) if len(known) == len(values) else None
        if data[key] is None:
            silent = found[values.index(None)]
            data[f"{key}_reason"] = silent.get(f"{key}_reason", _NOT_COUNTED)
    return data


def known(
    costs: Mapping[str, Any] | None, contestant: str, records: Sequence[EpisodeRecord]
) -> speed.Known:
    """What is known of a contestant beside the time of its decisions.

    Args:
        costs: As `training` gives them.
        contestant: Its name.
        records: All episodes.
    """
    lengths = [r.length for r in records if r.contestant == contestant and r.shift == NO_SHIFT]
    steps = statistics.fmean(lengths) if lengths else None
    if costs is None:
        return speed.Known(None, None, "", steps)
    energy = costs["energy"]
    why = energy.get("joules_reason", "")
    return speed.Known(costs["seconds"], energy["joules"], why, steps)

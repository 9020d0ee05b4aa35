"""What trainings cost, from their runs' cards, for the files of an evaluation."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab import energy
from rl_lab.evaluation import speed
from rl_lab.records import EpisodeRecord
from rl_lab.shifts.context import NO_SHIFT

_MEANS = ("seconds", "cpu_seconds", "peak_memory_bytes", "steps", "gradient_updates")


def training(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Means over a contestant's training seeds; None without a run."""
    if not cards:
        return None
    means = {key: statistics.fmean(card[key] for card in cards) for key in _MEANS}
    return {
        **means,
        "energy": energy.mean([card.get("energy") or {} for card in cards]),
        "settings": cards[0]["settings"],
    }


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
    used = costs["energy"]
    why = used.get("joules_reason", "")
    return speed.Known(costs["seconds"], used["joules"], why, steps)

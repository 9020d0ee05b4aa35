"""What several trainings used on average."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab.energy.meters import UNAVAILABLE

_NOT_COUNTED = "a run's version of rl-lab did not count energy"


def mean(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean joules; one training that does not know them leaves the mean unknown.

    Args:
        found: As `Meters.data` gives it, of each; empty where a training did not count.
    """
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

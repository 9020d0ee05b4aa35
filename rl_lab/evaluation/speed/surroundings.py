"""What else a decision time depends on: the machine, its clock's governor, its load, versions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rl_lab.evaluation.speed.settings import missing
from rl_lab.provenance import machine, versions

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def load_average() -> list[float] | None:
    """Runnable processes over the last 1, 5 and 15 minutes; None where nobody counts them."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (AttributeError, OSError):
        return None


def card(before: list[float] | None, governor: Path = _GOVERNOR) -> dict[str, Any]:
    """The machine and its state.

    Args:
        before: The load average at the beginning; that at the end is read now.
        governor: The file that names the frequency governor.
    """
    loads = {"load_average_before": before, "load_average_after": load_average()}
    data = {**machine(), "versions": versions()}
    for key, value in loads.items():
        data |= {key: value} if value else missing(key, "the system does not say")
    try:
        return data | {"governor": governor.read_text().strip()}
    except OSError:
        return data | missing("governor", "not readable")

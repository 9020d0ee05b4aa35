"""Numbers as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rl_lab.comparison.wording import duration, estimate_text, fixed

__all__ = [
    "count",
    "duration",
    "energy",
    "estimate",
    "fixed",
    "latency",
    "places",
    "seconds_unit",
    "size",
    "tenths",
]

_MOST_PLACES = 6


def places(values: Iterable[float | None]) -> int:
    """Decimals for a whole column: few, yet none of its numbers is shown as 0 unless it is."""
    present = [abs(value) for value in values if value is not None]
    largest = max(present, default=0.0)
    digits = 1 if largest >= 10 or largest == 0 else 2 if largest >= 1 else 3
    visible = [value for value in present if value > 1e-6 * largest]
    while digits < _MOST_PLACES and any(round(value, digits) == 0 for value in visible):
        digits += 1
    return digits


def estimate(interval: Mapping[str, Any], decimals: int | None = None) -> str:
    """An interval as "451.2 [402.3, 500.1]"; "451.2" without both ends."""
    middle, low, high = (interval.get(key) for key in ("estimate", "low", "high"))
    if middle is None:
        return "missing"
    if low is None or high is None:
        low = high = None
    return estimate_text({"estimate": middle, "low": low, "high": high}, decimals=decimals)


def tenths(value: float) -> str:
    """A number with one decimal."""
    return fixed(value, 1)


def count(value: float) -> str:
    """A number of things: 1,234,567."""
    return f"{round(value):,}"


def size(value: float) -> str:
    """A number of bytes: 512 B, 34.1 kB, 1.2 GB."""
    for power, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= power:
            return f"{value / power:.1f} {unit}"
    return f"{value:.0f} B"


def latency(us: float) -> str:
    """Microseconds as a short text with a unit: 34 µs, 20 ms, 1.5 s."""
    for power, unit in ((1e6, "s"), (1e3, "ms")):
        if us >= power:
            return f"{us / power:.3g} {unit}"
    return f"{us:.3g} µs"


def energy(joules: float) -> str:
    """Joules as a short text with a unit: 3.2 mJ, 45 J, 1.5 kJ."""
    for power, unit in ((1e6, "MJ"), (1e3, "kJ"), (1.0, "J"), (1e-3, "mJ")):
        if joules >= power:
            return f"{joules / power:.3g} {unit}"
    return f"{joules * 1e6:.3g} µJ"


def seconds_unit(longest: float) -> tuple[float, str]:
    """Seconds per unit, and the unit, in which a time axis up to `longest` reads well."""
    for unit_s, name in ((3600.0, "hours"), (60.0, "minutes")):
        if longest >= 2 * unit_s:
            return unit_s, name
    return 1.0, "seconds"

"""Processor packages: Linux's powercap shows RAPL counters in microjoules.

https://docs.kernel.org/power/powercap/powercap.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from rl_lab.energy.counters import NOT_READ, Counter, Counters

SOURCE = "RAPL package"
POWERCAP = Path("/sys/class/powercap")


def counters(root: Path = POWERCAP) -> Counters:
    """The readable package counters below a powercap folder; domains nest, so no others."""
    found, reason = [], "no RAPL package under powercap"
    for path in sorted(root.glob("intel-rapl:*")):
        try:
            # "intel-rapl:0:1" is a part of a package, "psys" is the whole board.
            name = (path / "name").read_text().strip()
            if re.fullmatch(r"intel-rapl:\d+", path.name) and name.startswith("package"):
                counter = Counter(_reader(path), int((path / "max_energy_range_uj").read_text()))
                counter.read_uj()
                found.append(counter)
        except NOT_READ as error:
            reason = f"RAPL cannot be read: {getattr(error, 'strerror', None) or error}"
    return Counters(SOURCE, tuple(found), "" if found else reason)


def _reader(path: Path) -> Callable[[], int]:
    return lambda: int((path / "energy_uj").read_text())

"""Energy of decisions where the processor counts it, and processor time everywhere.

Linux's powercap shows RAPL counters in microjoules. Domains nest, so only packages are added up.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rl_lab.evaluation.speed.settings import missing

POWERCAP = Path("/sys/class/powercap")
UNAVAILABLE = "unavailable"
_BLOCK_CALLS = 50


@dataclasses.dataclass(frozen=True)
class Counter:
    """The energy counter of one package.

    Attributes:
        path: Its folder.
        range_uj: Where it starts again from 0.
    """

    path: Path
    range_uj: int

    def read_uj(self) -> int:
        """Microjoules so far."""
        return int((self.path / "energy_uj").read_text())

    def spent_uj(self, before_uj: int, after_uj: int) -> int:
        """Microjoules between two readings less than one whole round apart."""
        return after_uj - before_uj + (self.range_uj if after_uj < before_uj else 0)


def counters(root: Path) -> tuple[list[Counter], str]:
    """The readable package counters below a powercap folder, and why there are none."""
    found, reason = [], "no RAPL package under powercap"
    for path in sorted(root.glob("intel-rapl:*")):
        try:
            # "intel-rapl:0:1" is a part of a package, "psys" is the whole board.
            name = (path / "name").read_text().strip()
            if re.fullmatch(r"intel-rapl:\d+", path.name) and name.startswith("package"):
                counter = Counter(path, int((path / "max_energy_range_uj").read_text()))
                counter.read_uj()
                found.append(counter)
        except (OSError, ValueError) as error:
            reason = f"RAPL cannot be read: {getattr(error, 'strerror', None) or error}"
    return found, "" if found else reason


@dataclasses.dataclass(frozen=True)
class Span:
    """What a stretch of work took.

    Attributes:
        calls: Decisions in it.
        wall_s: Seconds.
        cpu_s: Processor seconds of this process.
        joules: Of the whole package, other processes included; None where nothing counts them.
    """

    calls: int
    wall_s: float
    cpu_s: float
    joules: float | None


def watch(work: Callable[[], int], found: list[Counter]) -> Span:
    """Run `work`, which returns its number of decisions, between two readings."""
    before_uj = [counter.read_uj() for counter in found]
    wall, cpu = time.perf_counter(), time.process_time()
    calls = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    pairs = zip(found, before_uj, strict=True)
    joules = sum(counter.spent_uj(uj, counter.read_uj()) for counter, uj in pairs) / 1e6
    return Span(calls, wall, cpu, joules if found else None)


def measure(
    contestants: Mapping[str, Callable[[], object]], span_s: float, root: Path = POWERCAP
) -> dict[str, dict[str, Any]]:
    """Energy and processor time per 1,000 decisions, contestants in turn.

    Args:
        contestants: One warm decision each.
        span_s: Seconds per contestant, and of rest beforehand where energy is counted.
        root: The powercap folder.
    """
    found, reason = counters(root)
    rest = watch(lambda: _rest(span_s), found) if found else None
    spans = {
        name: watch(functools.partial(_decide_for, span_s, decide), found)
        for name, decide in contestants.items()
    }
    return {name: per_thousand(span, rest, reason) for name, span in spans.items()}


def _rest(span_s: float) -> int:
    time.sleep(span_s)
    return 0


def _decide_for(span_s: float, decide: Callable[[], object]) -> int:
    stop, calls = time.perf_counter() + span_s, 0
    while time.perf_counter() < stop:
        for _ in range(_BLOCK_CALLS):
            decide()
        calls += _BLOCK_CALLS
    return calls


def per_thousand(span: Span, rest: Span | None, reason: str) -> dict[str, Any]:
    """A span's figures per 1,000 decisions, energy both with and without the machine at rest."""
    thousands = span.calls / 1000
    data: dict[str, Any] = {
        "calls": span.calls,
        "seconds": round(span.wall_s, 4),
        "cpu_s_per_1000": round(span.cpu_s / thousands, 6),
    }
    if span.joules is None or rest is None or rest.joules is None:
        return {"source": UNAVAILABLE, **missing("joules_per_1000", reason), **data}
    rest_watts = rest.joules / rest.wall_s
    return {
        "source": "RAPL package",
        "joules_per_1000": round((span.joules - rest_watts * span.wall_s) / thousands, 6),
        "gross_joules_per_1000": round(span.joules / thousands, 6),
        "rest_watts": round(rest_watts, 3),
        **data,
    }


def amortisation_decisions(training_s: float | None, decision_s: float) -> float | None:
    """Decisions after which deciding has taken as long as training did; None if unknown."""
    return None if training_s is None else training_s / decision_s

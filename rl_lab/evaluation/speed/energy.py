"""Energy of decisions where the machine counts it, and processor time everywhere.

Frozen policies decide on the processor, so its packages give the headline; what GPUs drew
meanwhile stands beside it.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

from rl_lab.energy import Meters, meters
from rl_lab.evaluation.speed.settings import missing

_BLOCK_CALLS = 50


@dataclasses.dataclass(frozen=True)
class Span:
    """What a stretch of work took.

    Attributes:
        calls: Decisions in it.
        wall_s: Seconds.
        cpu_s: Processor seconds of this process.
        energy: As `Meters.data` gives it, other processes included.
    """

    calls: int
    wall_s: float
    cpu_s: float
    energy: Mapping[str, Any]


def watch(work: Callable[[], int], begin: Callable[[], Meters]) -> Span:
    """Run `work`, which returns its number of decisions, between two readings."""
    running = begin()
    wall, cpu = time.perf_counter(), time.process_time()
    calls = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Span(calls, wall, cpu, running.data())


def measure(
    contestants: Mapping[str, Callable[[], object]],
    span_s: float,
    begin: Callable[[], Meters] = meters,
) -> dict[str, dict[str, Any]]:
    """Energy and processor time per 1,000 decisions, contestants in turn.

    Args:
        contestants: One warm decision each.
        span_s: Seconds per contestant, and of rest beforehand where energy is counted.
        begin: Makes meters that begin now.
    """
    counted = not (begin().package.reason and begin().gpu.reason)
    rest = watch(lambda: _rest(span_s if counted else 0.0), begin)
    spans = {
        name: watch(functools.partial(_decide_for, span_s, decide), begin)
        for name, decide in contestants.items()
    }
    return {name: per_thousand(span, rest) for name, span in spans.items()}


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


def per_thousand(span: Span, rest: Span) -> dict[str, Any]:
    """A span's figures per 1,000 decisions, energy both with and without the machine at rest."""
    return {
        "source": span.energy["source"],
        **_joules(span, rest, ""),
        **_joules(span, rest, "gpu_"),
        "calls": span.calls,
        "seconds": round(span.wall_s, 4),
        "cpu_s_per_1000": round(span.cpu_s / (span.calls / 1000), 6),
    }


def _joules(span: Span, rest: Span, kind: str) -> dict[str, Any]:
    """Of the packages, or of GPUs where `kind` says so."""
    spent, at_rest = (s.energy[f"{kind}joules"] for s in (span, rest))
    if spent is None or at_rest is None:
        silent = span if spent is None else rest
        return missing(f"{kind}joules_per_1000", silent.energy[f"{kind}joules_reason"])
    thousands, rest_watts = span.calls / 1000, at_rest / rest.wall_s
    return {
        f"{kind}joules_per_1000": round((spent - rest_watts * span.wall_s) / thousands, 6),
        f"gross_{kind}joules_per_1000": round(spent / thousands, 6),
        f"rest_{kind}watts": round(rest_watts, 3),
    }

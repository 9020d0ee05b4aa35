"""Server: requests arrive at random, whether or not the last one has been served.

A closed loop stops asking while it is stalled and so hides the queue ("coordinated omission", Gil
Tene's wrk2). Here the latency of a request counts from the time at which it was scheduled.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rl_lab import seeding
from rl_lab.evaluation.speed.latency import NO_DEADLINE, known, misses
from rl_lab.evaluation.speed.settings import missing

LOADS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
# With fewer arrivals the 99th percentile is as good as the maximum: 0.99^299 < 5 %.
FEWEST_ARRIVALS = 299
_MOST_ARRIVALS = 20_000
_BLOCKS = 9
_BLOCK_CALLS = (20, 500)
_SERVICE_SHARE = 0.05

Decide = Callable[[], object]


class Clock(Protocol):
    """What a server needs of time."""

    def now(self) -> int:
        """Nanoseconds from an arbitrary origin."""

    def busy(self) -> int:
        """Nanoseconds that this process has had a processor."""

    def wait_until(self, due_ns: int) -> None:
        """Return at that time, at once where it has passed."""


class BusyClock:
    """The machine's clock, asked again and again; a sleep would overshoot by 50 microseconds."""

    now = staticmethod(time.perf_counter_ns)
    busy = staticmethod(time.process_time_ns)

    def wait_until(self, due_ns: int) -> None:
        """Return at that time, at once where it has passed."""
        clock = time.perf_counter_ns
        while clock() < due_ns:
            pass


@dataclasses.dataclass(frozen=True)
class Level:
    """One load that a server was put under.

    Attributes:
        load: The arrival rate as a share of the capacity.
        rate_per_s: The arrival rate.
        latency_us: From the scheduled arrival to the action, one entry per request.
    """

    load: float
    rate_per_s: float
    latency_us: npt.NDArray[Any]


def arrivals_ns(
    rate_per_s: float, count: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Scheduled times of a Poisson process, from the start of the run."""
    gaps_s = generator.standard_exponential(count) / rate_per_s
    return np.asarray(np.cumsum(gaps_s) * 1e9).astype(np.int64)


def serve(due_ns: npt.NDArray[np.int64], decide: Decide, clock: Clock) -> npt.NDArray[Any]:
    """Serve requests one after the other, in the order of their arrival.

    Args:
        due_ns: Scheduled arrivals, ascending.
        decide: Serves one request.
        clock: Injected, so that a test needs no time.

    Returns:
        Response times [n] in microseconds, each from its scheduled arrival.
    """
    now, wait_until, latency_ns = clock.now, clock.wait_until, []
    start = now()
    for due in (due_ns + start).tolist():
        wait_until(due)
        decide()
        latency_ns.append(now() - due)
    return np.asarray(latency_ns) / 1e3


def service_s(decide: Decide, calls: int, clock: Clock) -> float:
    """Mean seconds per request of a server that is never idle, its own bookkeeping included.

    In processor time: what other programs take of a busy machine is not the policy's. Where the
    processor's clock did not move, by the wall's.
    """
    start, busy_start = clock.now(), clock.busy()
    serve(np.zeros(calls, np.int64), decide, clock)
    spent_ns = clock.busy() - busy_start or clock.now() - start
    return max(spent_ns, 1) / 1e9 / calls


def calibrated_s(
    contestants: Mapping[str, Decide], budget_s: float, clock: Clock
) -> dict[str, float]:
    """Mean service time of each contestant: the median of blocks, contestants in turn.

    One block alone could meet a disturbance, and the loads, as shares of the capacity, would no
    longer compare between contestants.
    """
    fewest, most = _BLOCK_CALLS
    share_s = _SERVICE_SHARE * budget_s / _BLOCKS
    calls = {
        name: min(max(int(share_s / service_s(decide, fewest, clock)), fewest), most)
        for name, decide in contestants.items()
    }
    blocks: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(_BLOCKS):
        for name, decide in contestants.items():
            blocks[name].append(service_s(decide, calls[name], clock))
    return {name: float(np.median(found)) for name, found in blocks.items()}


def arrivals_within(budget_s: float, mean_service_s: float) -> int:
    """Arrivals per load, so that all loads together take `budget_s`."""
    per_arrival_s = mean_service_s * sum(1 / load for load in LOADS)
    return max(1, min(_MOST_ARRIVALS, int(budget_s / per_arrival_s)))


def best_rate(levels: Sequence[Level], deadline_us: float | None) -> dict[str, Any]:
    """The highest rate up to which the 99th percentile is within the deadline, and what limits it.

    A queue only grows with the load: a level that misses the deadline below one that keeps it was
    disturbed from outside, so that the rate given is a lower bound.

    Args:
        levels: By ascending load.
        deadline_us: The environment's control period, or None.
    """
    key = "max_rate_per_s"
    if deadline_us is None:
        return missing(key, NO_DEADLINE)
    if min(len(level.latency_us) for level in levels) < FEWEST_ARRIVALS:
        reason = f"fewer than {FEWEST_ARRIVALS} arrivals per load; raise evaluation.speed.server_s"
        return missing(key, reason)
    keeps = [bool(np.percentile(v.latency_us, 99) <= deadline_us) for v in levels]
    below = keeps.index(False) if False in keeps else len(levels)
    is_disturbed = any(keeps[below:])
    if below == 0:
        reason = f"p99 misses the deadline from {levels[0].load:.0%} load up"
        if is_disturbed:
            kept = max(v.load for v, is_within in zip(levels, keeps, strict=True) if is_within)
            reason = (
                f"p99 misses the deadline at {levels[0].load:.0%} load and keeps it at {kept:.0%}:"
                " other work disturbed the measurement; repeat it on a quiet machine"
            )
        return missing(key, reason)
    best = levels[below - 1]
    limit = "disturbance" if is_disturbed else "deadline" if below < len(levels) else "capacity"
    return {key: round(best.rate_per_s, 1), "max_load": best.load, "limited_by": limit}


def sweep(
    contestants: Mapping[str, Decide], budget_s: float, deadline_us: float | None
) -> dict[str, dict[str, Any]]:
    """Put every contestant under every load, contestants in turn.

    Args:
        contestants: One warm decision each.
        budget_s: Seconds per contestant.
        deadline_us: The environment's control period, or None.
    """
    clock = BusyClock()
    service = calibrated_s(contestants, budget_s, clock)
    count = {name: arrivals_within(budget_s, service[name]) for name in contestants}
    levels: dict[str, list[Level]] = {name: [] for name in contestants}
    for load in LOADS:
        for name, decide in contestants.items():
            rate = load / service[name]
            # All contestants draw the same gaps, in units of their own service time.
            generator = seeding.generator(0, "speed", "server", str(load))
            latency_us = serve(arrivals_ns(rate, count[name], generator), decide, clock)
            levels[name].append(Level(load, rate, latency_us))
    return {
        name: {
            "service_us": round(service[name] * 1e6, 3),
            "batching": 1,
            **best_rate(levels[name], deadline_us),
            "levels": [_stored(level, deadline_us) for level in levels[name]],
        }
        for name in contestants
    }


def _stored(level: Level, deadline_us: float | None) -> dict[str, Any]:
    return {
        "load": level.load,
        "rate_per_s": round(level.rate_per_s, 1),
        "arrivals": len(level.latency_us),
        **known(level.latency_us, 50, "p50_us"),
        **known(level.latency_us, 99, "p99_us"),
        "max_us": round(float(level.latency_us.max()), 3),
        "mean_us": round(float(level.latency_us.mean()), 3),
        **misses(level.latency_us, deadline_us),
    }

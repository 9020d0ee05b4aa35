"""Many decisions per call: Offline throughput, MultiStream, and whether a batch changes actions."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rl_lab.evaluation.speed.latency import ends, known, order_interval

SIZES = tuple(2**k for k in range(13))
STREAMS = (1, 8, 64)
_LEAST_GAIN = 1.03
_KNEE_SHARE = 0.9
_FEWEST_CALLS = 3
_MOST_CALLS = 2_000
_MOST_BYTES = 2**28

# Makes a ready batch of this many real observations; calling that decides once for all of them.
Batcher = Callable[[int], Callable[[], object]]


@dataclasses.dataclass
class Curve:
    """The growing throughput curve of one contestant.

    Attributes:
        item_bytes: Of one observation.
        throughput_per_s: Decisions per second, one entry per batch size.
        spent_s: What it has cost.
        stopped: Why it ends; "" while it goes on.
    """

    item_bytes: int
    throughput_per_s: list[float] = dataclasses.field(default_factory=list)
    spent_s: float = 0.0
    stopped: str = ""

    def add(self, size: int, call_s: float) -> None:
        """Take note of a batch's median time, and of whether larger ones are worth trying."""
        self.throughput_per_s.append(size / call_s)
        if flat(self.throughput_per_s):
            self.stopped = "two gains below 3 %"

    def check(self, size: int, budget_s: float) -> None:
        """Stop before a batch that would cost too much time or memory."""
        if size * self.item_bytes > _MOST_BYTES:
            self.stopped = f"a batch of {size} takes more than {_MOST_BYTES >> 20} MiB"
        elif self.throughput_per_s:
            expected_s = (1 + _FEWEST_CALLS) * size / self.throughput_per_s[-1]
            if self.spent_s + expected_s > budget_s:
                self.stopped = "evaluation.speed.offline_s is used up"


def flat(throughput_per_s: Sequence[float]) -> bool:
    """Whether the last two doublings of the batch both gained less than 3 %."""
    last = throughput_per_s[-3:]
    return len(last) == 3 and all(
        after < _LEAST_GAIN * before for before, after in itertools.pairwise(last)
    )


def knee(sizes: Sequence[int], throughput_per_s: Sequence[float]) -> int:
    """The smallest batch that reaches 90 % of the best throughput."""
    enough = _KNEE_SHARE * max(throughput_per_s)
    pairs = zip(sizes, throughput_per_s, strict=True)
    return min(size for size, rate in pairs if rate >= enough)


def efficiency(sizes: Sequence[int], throughput_per_s: Sequence[float]) -> list[float]:
    """T(b) / (b T(1)): 1 where a decision in the batch costs what one alone does."""
    pairs = zip(sizes, throughput_per_s, strict=True)
    return [rate / (size * throughput_per_s[0]) for size, rate in pairs]


def offline(
    contestants: Mapping[str, Batcher], item_bytes: Mapping[str, int], budget_s: float
) -> dict[str, dict[str, Any]]:
    """Throughput over batch sizes 1, 2, 4, ..., contestants in turn.

    Args:
        contestants: Their batches.
        item_bytes: Of one observation of each.
        budget_s: Seconds per contestant.
    """
    curves = {name: Curve(item_bytes[name]) for name in contestants}
    for size in SIZES:
        for name, curve in curves.items():
            if not curve.stopped:
                curve.check(size, budget_s)
            if not curve.stopped:
                start = time.perf_counter()
                call_ns = timed(contestants[name](size), budget_s / len(SIZES), _FEWEST_CALLS)
                curve.spent_s += time.perf_counter() - start
                curve.add(size, float(np.median(call_ns)) / 1e9)
    return {name: _stored(curve) for name, curve in curves.items()}


def _stored(curve: Curve) -> dict[str, Any]:
    rates = curve.throughput_per_s
    sizes = list(SIZES[: len(rates)])
    return {
        "batch_sizes": sizes,
        "decisions_per_s": [round(rate, 1) for rate in rates],
        "efficiency": [round(share, 5) for share in efficiency(sizes, rates)],
        "max_decisions_per_s": round(max(rates), 1),
        "knee": knee(sizes, rates),
        "stopped": curve.stopped or f"the largest batch is {SIZES[-1]}",
    }


def multi_stream(
    contestants: Mapping[str, Batcher], budget_s: float
) -> dict[str, list[dict[str, Any]]]:
    """The time of one call that decides for 1, 8 and 64 environments, contestants in turn."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in contestants}
    for streams in STREAMS:
        for name, batcher in contestants.items():
            call_us = timed(batcher(streams), budget_s / len(STREAMS), 1) / 1e3
            found[name].append(
                {
                    "streams": streams,
                    "calls": len(call_us),
                    **known(call_us, 50, "p50_us"),
                    **known(call_us, 99, "p99_us"),
                    "p99": ends(order_interval(call_us, 99)),
                }
            )
    return found


def timed(call: Callable[[], object], budget_s: float, fewest: int) -> npt.NDArray[np.int64]:
    """Nanoseconds of each call, for about `budget_s`; a first call warms up and is not kept."""
    clock = time.perf_counter_ns
    taken_ns: list[int] = []
    call()
    stop = clock() + int(budget_s * 1e9)
    while len(taken_ns) < fewest or (clock() < stop and len(taken_ns) < _MOST_CALLS):
        before = clock()
        call()
        taken_ns.append(clock() - before)
    return np.asarray(taken_ns, np.int64)


def mismatch_rate(alone: npt.ArrayLike, batched: npt.ArrayLike, tolerance: npt.ArrayLike) -> float:
    """Share of decisions whose action depends on whether it was made alone or in a batch.

    Args:
        alone: Actions [n, ...] of one call each.
        batched: The same, of calls for many.
        tolerance: Largest difference that still counts as equal; 0 for discrete actions.
    """
    one, two = np.asarray(alone), np.asarray(batched)
    if one.dtype.kind == "f":
        differs = ~(np.abs(one.astype(float) - two.astype(float)) <= tolerance)
    else:
        differs = one != two
    return float(differs.reshape(len(one), -1).any(axis=1).mean()) if len(one) else math.nan

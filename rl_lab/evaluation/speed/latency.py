"""Percentiles of decision times and how far to trust them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from rl_lab.evaluation.speed.settings import missing
from rl_lab.statistics import Interval, t_interval
from rl_lab.statistics.intervals import CONFIDENCE, no_interval

PERCENTS = (50, 90, 99)
DISTRIBUTION = (0, 10, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99, 100)
NO_DEADLINE = "the environment has no control period"


def order_interval(values: npt.ArrayLike, percent: float) -> Interval:
    """Distribution-free interval of a percentile: the ranks that a binomial count rules in.

    The number of n values below the true percentile is binomial (Hahn and Meeker, Statistical
    Intervals, 1991, 5.2). Two-sided at 95 % it takes 36 values for p90 and 368 for p99.

    Args:
        values: [n], independent.
        percent: In (0, 100).
    """
    x = np.sort(np.asarray(values, dtype=float))
    estimate, share, tail = float(np.percentile(x, percent)), percent / 100, (1 - CONFIDENCE) / 2
    # Ranks count from 1: P(count < low) <= tail, P(count >= high) <= tail.
    low = int(scipy.stats.binom.ppf(tail, x.size, share))
    high = int(scipy.stats.binom.ppf(1 - tail, x.size, share)) + 1
    if low < 1 or high > x.size:
        return no_interval(estimate, f"{x.size} calls are too few for p{percent:g}")
    method = f"95% order statistics over {x.size:,} calls"
    return Interval(estimate, float(x[low - 1]), float(x[high - 1]), method)


def beyond(calls: int, percent: float) -> str:
    """Why so few calls say nothing of a percentile: less than one lies above it; "" where they do.

    What interpolation gives there is the maximum by another name. 100 % is the maximum itself.
    """
    # Rounded: 99.95 % of 2,000 calls leaves one, not 0.9999999999999.
    if percent == 100 or round(calls * (100 - percent), 6) >= 100:
        return ""
    return f"fewer than one of {calls:,} calls lies above p{percent:g}"


def known(values: npt.NDArray[Any], percent: float, key: str) -> dict[str, Any]:
    """A percentile of latencies as it is stored: with a reason where they are too few for it."""
    if reason := beyond(values.size, percent):
        return missing(key, reason)
    return {key: round(float(np.percentile(values, percent)), 3)}


def percentile(processes: Sequence[npt.NDArray[Any]], percent: float) -> Interval:
    """A percentile over all calls, with the wider of two intervals.

    Calls of one process resemble each other, so order statistics alone are too narrow; processes
    are few, so Student's t over them alone may miss the spread within.

    Args:
        processes: One array of latencies per process.
        percent: In (0, 100).
    """
    pooled = order_interval(np.concatenate(processes), percent)
    between = t_interval([float(np.percentile(p, percent)) for p in processes], "repeat")
    return dataclasses.replace(wider(pooled, between), estimate=pooled.estimate).clipped(0, np.inf)


def wider(one: Interval, two: Interval) -> Interval:
    """The interval with the larger width; one without ends loses."""
    widths = [-np.inf if np.isnan(i.low) else i.high - i.low for i in (one, two)]
    return one if widths[0] >= widths[1] else two


def ends(interval: Interval, scale: float = 1.0) -> dict[str, Any]:
    """An interval's ends as they are stored, and how it was made."""
    low, high = (
        None if np.isnan(e) else round(e * scale, 3) for e in (interval.low, interval.high)
    )
    return {"low_us": low, "high_us": high, "method": interval.method}


def _deadline(deadline_us: float | None) -> dict[str, Any]:
    key = "deadline_us"
    return missing(key, NO_DEADLINE) if deadline_us is None else {key: deadline_us}


def misses(latency_us: npt.NDArray[Any], deadline_us: float | None) -> dict[str, Any]:
    """The share of decisions that are later than the deadline, as it is stored."""
    if deadline_us is None:
        return missing("deadline_miss_rate", NO_DEADLINE)
    return {"deadline_miss_rate": float((latency_us > deadline_us).mean())}


def _distribution(latency_us: npt.NDArray[Any]) -> dict[str, Any]:
    reasons = [beyond(latency_us.size, percent) for percent in DISTRIBUTION]
    found = zip(np.percentile(latency_us, DISTRIBUTION), reasons, strict=True)
    data = {
        "percent": list(DISTRIBUTION),
        "us": [None if reason else round(float(us), 3) for us, reason in found],
    }
    return {**data, "us_reason": first} if (first := next(filter(None, reasons), "")) else data


def single_stream(
    latency_ns: Sequence[npt.NDArray[Any]], deadline_us: float | None
) -> dict[str, Any]:
    """The SingleStream figures of one contestant.

    Args:
        latency_ns: One array per process.
        deadline_us: The environment's control period, or None.
    """
    processes = [array / 1e3 for array in latency_ns]
    latency_us = np.concatenate(processes)
    intervals = {f"p{q}": percentile(processes, q) for q in PERCENTS}
    per_process_us = [float(np.percentile(p, 90)) for p in processes]
    return {
        "calls": len(latency_us),
        **{k: v for q in PERCENTS for k, v in known(latency_us, q, f"p{q}_us").items()},
        "max_us": round(float(latency_us.max()), 3),
        "mean_us": round(float(latency_us.mean()), 3),
        "p90_low_us": round(min(per_process_us), 3),
        "p90_high_us": round(max(per_process_us), 3),
        "distribution": _distribution(latency_us),
        "intervals": {key: ends(i) for key, i in intervals.items()},
        **_deadline(deadline_us),
        **misses(latency_us, deadline_us),
    }

from __future__ import annotations

import math

import numpy as np
import pytest

from rl_lab.evaluation.speed import latency
from rl_lab.statistics import Interval


def below(count: int, n: int, share: float) -> float:
    """P(fewer than `count` of n), added up term by term."""
    return sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(count))


@pytest.mark.parametrize(("n", "percent"), [(36, 90), (200, 90), (500, 99), (37, 50), (400, 99)])
def test_the_ranks_are_those_of_a_brute_force_search(n: int, percent: int) -> None:
    share = percent / 100
    low = max(r for r in range(1, n + 1) if below(r, n, share) <= 0.025)
    high = min(r for r in range(1, n + 1) if 1 - below(r, n, share) <= 0.025)
    values = np.random.default_rng(n).permutation(np.arange(1, n + 1))
    found = latency.order_interval(values, percent)
    assert (found.low, found.high) == (low, high)
    assert found.estimate == np.percentile(values, percent)


@pytest.mark.parametrize(("percent", "fewest"), [(90, 36), (99, 368)])
def test_too_few_calls_have_no_interval(percent: int, fewest: int) -> None:
    assert (percent / 100) ** fewest <= 0.025 < (percent / 100) ** (fewest - 1)
    assert latency.order_interval(np.arange(fewest), percent).high == fewest - 1
    short = latency.order_interval(np.arange(fewest - 1), percent)
    assert math.isnan(short.low)
    assert "too few" in short.method


@pytest.mark.parametrize("percent", [50, 90, 99])
def test_the_interval_covers_the_true_percentile(percent: int) -> None:
    rng = np.random.default_rng(0)
    truth, trials = -math.log(1 - percent / 100), 2_000
    intervals = [latency.order_interval(rng.exponential(size=500), percent) for _ in range(trials)]
    covered = sum(i.low <= truth <= i.high for i in intervals) / trials
    # At least 95 %, less three standard errors of the simulation.
    assert covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)


def test_the_wider_interval_is_reported() -> None:
    narrow, wide = Interval(1, 0.9, 1.1, "narrow"), Interval(1, 0.5, 1.5, "wide")
    none = Interval(1, math.nan, math.nan, "none")
    assert latency.wider(narrow, wide) is latency.wider(wide, narrow) is wide
    assert latency.wider(none, narrow) is latency.wider(narrow, none) is narrow


def test_processes_that_disagree_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    alike = [rng.normal(10, 1, 5_000) for _ in range(5)]
    apart = [values + 3 * process for process, values in enumerate(alike)]
    assert "repeats" in latency.percentile(apart, 90).method
    one = latency.percentile([alike[0]], 90)
    assert "order statistics over 5,000 calls" in one.method
    found = latency.percentile(apart, 90)
    assert found.estimate == np.percentile(np.concatenate(apart), 90)
    assert found.low >= 0


def test_the_figures_of_single_stream_by_hand() -> None:
    first, second = np.arange(1, 101) * 1_000, np.arange(101, 201) * 1_000
    data = latency.single_stream([first, second], deadline_us=150.0)
    assert data["calls"] == 200
    assert (data["p50_us"], data["mean_us"], data["max_us"]) == (100.5, 100.5, 200.0)
    assert (data["p90_low_us"], data["p90_high_us"]) == (90.1, 190.1)
    assert data["deadline_us"] == 150.0
    assert data["deadline_miss_rate"] == 0.25
    assert set(data["intervals"]) == {"p50", "p90", "p99"}
    spread = dict(zip(data["distribution"]["percent"], data["distribution"]["us"], strict=True))
    assert (spread[0], spread[50], spread[90], spread[100]) == (1.0, 100.5, data["p90_us"], 200.0)


@pytest.mark.parametrize(
    ("calls", "unknown"),
    [
        (99, {99, 99.5, 99.8, 99.9, 99.95, 99.99}),
        (1_000, {99.95, 99.99}),
        (1_999, {99.95, 99.99}),
        (2_000, {99.99}),
        (10_000, set()),
    ],
)
def test_percentiles_beyond_the_sample_are_not_known(calls: int, unknown: set[float]) -> None:
    data = latency.single_stream([np.arange(1, calls + 1) * 1_000], deadline_us=None)
    spread = data["distribution"]
    found = dict(zip(spread["percent"], spread["us"], strict=True))
    assert {percent for percent, us in found.items() if us is None} == unknown
    assert found[100] == calls
    reason = f"fewer than one of {calls:,} calls lies above p{min(unknown, default=0):g}"
    assert spread.get("us_reason") == (reason if unknown else None)
    assert (data["p99_us"] is None) == (99 in unknown)
    assert data.get("p99_us_reason") == (reason if 99 in unknown else None)


def test_without_a_deadline_nothing_is_missed_and_the_reason_is_given() -> None:
    data = latency.single_stream([np.arange(1_000)], deadline_us=None)
    for key in ("deadline_us", "deadline_miss_rate"):
        assert data[key] is None
        assert data[f"{key}_reason"] == "the environment has no control period"

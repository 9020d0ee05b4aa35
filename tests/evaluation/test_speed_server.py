from __future__ import annotations

import numpy as np
import pytest

from rl_lab import seeding
from rl_lab.evaluation.speed import server
from rl_lab.evaluation.speed.server import Level

MS_NS = 1_000_000


class SimulatedClock:
    """Time that passes only by serving and by waiting."""

    def __init__(self, origin_ns: int = 12_345) -> None:
        self.now_ns = origin_ns

    def now(self) -> int:
        return self.now_ns

    def busy(self) -> int:
        return self.now_ns

    def wait_until(self, due_ns: int) -> None:
        self.now_ns = max(self.now_ns, due_ns)


class Service:
    """Takes 1 ms per request; one request takes longer."""

    def __init__(self, clock: SimulatedClock, stalled: int = -1, stall_ns: int = 0) -> None:
        self.clock, self.stalled, self.stall_ns, self.calls = clock, stalled, stall_ns, 0

    def __call__(self) -> None:
        self.clock.now_ns += MS_NS + (self.stall_ns if self.calls == self.stalled else 0)
        self.calls += 1


def simulated(due_ns: np.ndarray, **stall: int) -> np.ndarray:
    clock = SimulatedClock()
    return server.serve(due_ns, Service(clock, **stall), clock)


def poisson(rate_per_s: float, count: int, seed: int = 0) -> np.ndarray:
    return server.arrivals_ns(rate_per_s, count, seeding.generator(seed, "test"))


def test_arrivals_are_poisson_and_repeat_with_their_seed() -> None:
    due = poisson(2_000.0, 50_000)
    gaps_s = np.diff(due) / 1e9
    # Mean and standard deviation of an exponential are both 1 / rate.
    assert gaps_s.mean() == pytest.approx(5e-4, rel=0.02)
    assert gaps_s.std() == pytest.approx(5e-4, rel=0.03)
    per_second = np.bincount((due / 1e9).astype(int))[:-1]
    assert per_second.mean() == pytest.approx(2_000, rel=0.02)
    assert np.array_equal(due, poisson(2_000.0, 50_000))
    assert not np.array_equal(due, poisson(2_000.0, 50_000, seed=1))


def test_latency_counts_from_the_scheduled_arrival() -> None:
    # Three at once, then one to an idle server.
    due = np.array([0, 0, 0, 10 * MS_NS])
    assert simulated(due).tolist() == [1_000.0, 2_000.0, 3_000.0, 1_000.0]


@pytest.mark.parametrize("load", [0.3, 0.5, 0.8])
def test_the_mean_response_is_that_of_an_m_d_1_queue(load: float) -> None:
    # Pollaczek-Khinchine, constant service s: waiting = load s / (2 (1 - load)).
    response_us = simulated(poisson(load * 1_000.0, 200_000))
    expected_us = 1_000 * (1 + load / (2 * (1 - load)))
    assert response_us.mean() == pytest.approx(expected_us, rel=0.03)


def test_one_stall_reaches_everyone_who_arrives_meanwhile() -> None:
    """Coordinated omission: a closed loop of 5,000 calls sees the stall once, in no p99."""
    due = poisson(500.0, 5_000)
    calm, stalled = simulated(due), simulated(due, stalled=1_000, stall_ns=1_000 * MS_NS)
    closed_us = np.full(5_000, 1_000.0)
    closed_us[1_000] += 1e6
    assert np.percentile(closed_us, 99) == 1_000
    assert np.percentile(calm, 99) < 6_000
    # Half of the requests of the next two seconds find the server busy or behind.
    assert np.percentile(stalled, 99) > 800_000
    assert (stalled > 100_000).sum() > 500


def test_the_service_time_is_that_of_a_server_without_idle_time() -> None:
    clock = SimulatedClock()
    assert server.service_s(Service(clock), 50, clock) == pytest.approx(1e-3)


def test_all_loads_together_keep_the_budget() -> None:
    count = server.arrivals_within(2.0, 1e-4)
    assert count * sum(1e-4 / load for load in server.LOADS) == pytest.approx(2.0, rel=0.01)
    assert server.arrivals_within(2.0, 1e-9) == 20_000
    assert server.arrivals_within(1e-6, 1.0) == 1


def levels(*p99_us: float, arrivals: int = 400) -> list[Level]:
    loads = np.linspace(0.1, 0.9, len(p99_us))
    return [
        Level(round(float(load), 2), 1_000 * load, np.full(arrivals, value))
        for load, value in zip(loads, p99_us, strict=True)
    ]


def test_the_best_rate_is_the_highest_within_the_deadline() -> None:
    found = server.best_rate(levels(1.0, 2.0, 3.0, 40.0, 500.0), deadline_us=10.0)
    assert found == {"max_rate_per_s": 500.0, "max_load": 0.5, "limited_by": "deadline"}
    found = server.best_rate(levels(1.0, 2.0, 3.0), deadline_us=10.0)
    assert found == {"max_rate_per_s": 900.0, "max_load": 0.9, "limited_by": "capacity"}


def test_a_level_that_keeps_what_a_lower_one_missed_is_no_best_rate() -> None:
    found = server.best_rate(levels(1.0, 2.0, 40.0, 3.0, 500.0), deadline_us=10.0)
    assert found == {"max_rate_per_s": 300.0, "max_load": 0.3, "limited_by": "disturbance"}
    found = server.best_rate(levels(40.0, 2.0, 500.0), deadline_us=10.0)
    assert found["max_rate_per_s"] is None
    assert "at 10% load and keeps it at 50%: other work disturbed" in found["max_rate_per_s_reason"]


def test_what_others_take_of_the_machine_is_not_the_service() -> None:
    class Shared(SimulatedClock):
        """Half of all time goes to somebody else."""

        def busy(self) -> int:
            return self.now_ns // 2

    clock = Shared()
    assert server.service_s(Service(clock), 50, clock) == pytest.approx(0.5e-3)


def test_a_processor_clock_too_coarse_to_move_gives_way_to_the_wall() -> None:
    class Coarse(SimulatedClock):
        def busy(self) -> int:
            return 7

    clock = Coarse()
    assert server.service_s(Service(clock), 50, clock) == pytest.approx(1e-3)


def test_one_disturbed_block_moves_no_capacity() -> None:
    clock = SimulatedClock()
    # The same service twice; the machine stalls in one block of one of them.
    contestants = {
        "still": Service(clock),
        "moved": Service(clock, stalled=100, stall_ns=5_000 * MS_NS),
    }
    found = server.calibrated_s(contestants, 5.0, clock)
    assert found["still"] == pytest.approx(1e-3)
    assert found["moved"] == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("given", "deadline_us", "reason"),
    [
        (levels(1.0, 2.0), None, "no control period"),
        (levels(50.0, 60.0), 10.0, "misses the deadline from 10% load up"),
        (levels(1.0, 2.0, arrivals=298), 10.0, "fewer than 299 arrivals"),
    ],
)
def test_where_there_is_no_best_rate_the_reason_is_given(
    given: list[Level], deadline_us: float | None, reason: str
) -> None:
    found = server.best_rate(given, deadline_us)
    assert found["max_rate_per_s"] is None
    assert reason in found["max_rate_per_s_reason"]

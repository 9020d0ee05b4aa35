from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from fakes import linear_policy

from rl_lab.evaluation.speed import batches
from rl_lab.evaluation.speed.batches import Curve
from rl_lab.evaluation.speed.loaded import Loaded, stack, tolerance

SIZES = [1, 2, 4, 8, 16]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([100, 200, 400, 800, 1600], 16),
        ([100, 100, 100, 100, 100], 1),
        ([100, 190, 360, 380, 390], 4),
        ([100, 180, 400, 300, 200], 4),
        ([100, 200, 360, 400, 399], 4),
    ],
)
def test_the_knee_of_a_curve_made_by_hand(rates: list[float], expected: int) -> None:
    assert batches.knee(SIZES, rates) == expected


def test_efficiency_is_one_where_batching_gains_in_full() -> None:
    assert batches.efficiency([1, 2, 4], [100, 200, 400]) == [1.0, 1.0, 1.0]
    assert batches.efficiency([1, 2, 4], [100, 100, 100]) == [1.0, 0.5, 0.25]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([100, 101], False),
        ([100, 102, 105], True),
        ([100, 102, 120], False),
        ([100, 150, 151], False),
        ([100, 200, 199, 198], True),
        ([100, 102, 120, 121], False),
    ],
)
def test_a_curve_is_flat_after_two_small_gains_in_a_row(rates: list[float], expected: bool) -> None:
    assert batches.flat(rates) is expected


def test_a_curve_stops_for_a_named_reason() -> None:
    curve = Curve(item_bytes=4)
    for size, call_s in ((1, 1.0), (2, 1.99), (4, 3.97)):
        assert curve.stopped == ""
        curve.add(size, call_s)
    assert curve.stopped == "two gains below 3 %"
    slow = Curve(item_bytes=4)
    slow.check(1, budget_s=1.0)
    slow.add(1, 0.2)
    slow.spent_s = 0.8
    slow.check(2, budget_s=1.0)
    assert "used up" in slow.stopped
    large = Curve(item_bytes=2**20)
    large.check(512, budget_s=1.0)
    assert "MiB" in large.stopped


def test_every_contestant_has_a_whole_curve() -> None:
    calls: list[int] = []

    def batcher(size: int) -> Any:
        return lambda: calls.append(size)

    found = batches.offline({"a": batcher}, {"a": 8}, budget_s=1e-4)["a"]
    count = len(found["batch_sizes"])
    assert found["batch_sizes"] == [2**k for k in range(count)]
    assert len(found["decisions_per_s"]) == len(found["efficiency"]) == count
    assert found["knee"] in found["batch_sizes"]
    assert found["stopped"]
    streams = batches.multi_stream({"a": batcher}, budget_s=1e-4)["a"]
    assert [s["streams"] for s in streams] == [1, 8, 64]
    assert set(calls) >= {1, 8, 64}


def test_a_discrete_action_differs_or_it_does_not() -> None:
    alone, batched = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])
    assert batches.mismatch_rate(alone, batched, 0) == 0.25
    pairs = np.array([[0, 1], [2, 3]]), np.array([[0, 1], [3, 2]])
    assert batches.mismatch_rate(*pairs, 0) == 0.5


def test_a_continuous_action_may_differ_by_what_the_format_allows() -> None:
    space = gymnasium.spaces.Box(np.array([-1.0, -10.0]), np.array([1.0, 10.0]), dtype=np.float64)
    limit = tolerance(space)
    assert limit == pytest.approx([2e-5, 2e-4])
    alone = np.zeros((4, 2))
    batched = np.array([[1e-5, 1e-4], [3e-5, 0.0], [0.0, 3e-4], [np.nan, 0.0]])
    assert batches.mismatch_rate(alone, batched, limit) == 0.75
    assert tolerance(gymnasium.spaces.Discrete(3)) == 0.0
    endless = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    assert tolerance(endless) == pytest.approx([1e-5])


def contestant(policy: Any, count: int = 100) -> Loaded:
    rng = np.random.default_rng(0)
    observations = list(rng.standard_normal((count, 2)).astype(np.float32))
    return Loaded(policy, policy.act, observations, 1.0, 0.0)


def test_a_policy_that_changes_its_mind_in_a_batch_is_found_out() -> None:
    def act_batch(batch: np.ndarray, state: Any = (), action_masks: Any = None) -> Any:
        # Wrong for the last of every full batch: 1 of 100 here.
        actions = (batch[:, 0] > 0).astype(np.int64)
        if len(batch) == 64:
            actions[-1] = 1 - actions[-1]
        return actions, ()

    fickle = SimpleNamespace(
        reset=lambda: (),
        act=lambda observation, state: (np.int64(observation[0] > 0), ()),
        act_batch=act_batch,
        action_space=gymnasium.spaces.Discrete(2),
        card=SimpleNamespace(action_masks=False),
    )
    assert contestant(fickle).batch_mismatch_rate() == 0.01


def test_a_frozen_policy_acts_alike_alone_and_in_a_batch() -> None:
    policy = linear_policy("FakeCountdown-v0", [[1.0, 0.5], [-1.0, 0.25]], [0.0, 0.1])
    assert contestant(policy).batch_mismatch_rate() == 0.0
    assert contestant(policy).item_bytes() == 8
    actions, _ = contestant(policy).batcher(7)()  # type: ignore[misc]
    assert actions.shape == (7,)


def test_a_batch_repeats_observations_and_keeps_their_keys() -> None:
    assert stack([np.float32(1), np.float32(2)], 5).tolist() == [1, 2, 1, 2, 1]
    pair = [{"a": np.zeros(2), "b": 1}, {"a": np.ones(2), "b": 0}]
    batch = stack(pair, 3)
    assert {key: part.shape for key, part in batch.items()} == {"a": (3, 2), "b": (3,)}
    assert batch["b"].tolist() == [1, 0, 1]


def test_warming_up_takes_at_least_two_hundred_calls() -> None:
    seen: list[int] = []
    policy = SimpleNamespace(reset=lambda: ())
    Loaded(policy, lambda o, s: seen.append(o), [0, 1], 1.0, 0.0).warm_up(0.0)  # type: ignore[arg-type]
    assert len(seen) == 200
    assert seen[:4] == [0, 1, 0, 1]

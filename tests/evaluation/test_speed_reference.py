"""The comparison with the training library's path, with stand-ins for the library."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest
from fakes import linear_policy, saved

from rl_lab.evaluation.speed import loaded, reference


@pytest.fixture(scope="module")
def contestant(tmp_path_factory: pytest.TempPathFactory) -> loaded.Loaded:
    policy = linear_policy("FakeCountdown-v0", [[1.0, 0.0], [0.0, 1.0]], [0.0, 1.5])
    folder = saved(policy, tmp_path_factory.mktemp("reference") / "policy")
    return loaded.load(folder, 50, ("fakes",))


class Library:
    """Acts as the policy does, or always chooses the first action; keeps what it was asked."""

    def __init__(self, right: bool) -> None:
        self.right = right
        self.sizes: list[list[int]] = []

    def __call__(self, observations: Any, masks: Any) -> np.ndarray:
        self.sizes.append([])
        actions = []
        for batch in observations:
            self.sizes[-1].append(len(batch))
            chosen = (batch[:, 1] + 1.5 > batch[:, 0]).astype(int) * self.right
            actions.append(chosen)
        assert masks is None
        return np.stack(actions)


def test_both_paths_decide_the_same_number_of_times_and_are_compared(
    contestant: loaded.Loaded,
) -> None:
    library = Library(right=True)
    row = reference.compare(library, contestant, 250)
    assert row["calls"] == 250
    # A warm-up, then episodes of a hundred decisions one by one; then batches.
    assert library.sizes[:4] == [[1] * 100, [1] * 100, [1] * 100, [1] * 50]
    assert {tuple(s) for s in library.sizes[4:]} == {(64,), (1024,)}
    assert row["mismatch_rate"] == 0.0
    assert [b["size"] for b in row["batches"]] == [64, 1024]
    assert row["times_faster"] == pytest.approx(row["p50_us"] / row["frozen_p50_us"], rel=0.05)


def test_another_policy_is_found_out(contestant: loaded.Loaded) -> None:
    acts = [int(contestant.act(o, ())[0]) for o in contestant.observations[:200]]
    row = reference.compare(Library(right=False), contestant, 200)
    assert row["mismatch_rate"] == pytest.approx(np.mean(acts))
    assert row["mismatch_rate"] > 0.1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit('no such run')", "no such run"),
        ("pass", "exit 0"),
        ("import os; os.kill(os.getpid(), 9)", "exit -9"),
    ],
)
def test_a_process_that_fails_is_a_reason(code: str, reason: str) -> None:
    found = reference.measure({"a": [sys.executable, "-c", code], "b": "why not"})
    assert found["a"]["reference"] is None
    assert reason in found["a"]["reference_reason"]
    assert found["b"] == {"reference": None, "reference_reason": "why not"}


def test_the_last_line_counts() -> None:
    code = f"print('a library says hello'); print({json.dumps({'p50_us': 3.0})!r})"
    assert reference.measure({"a": [sys.executable, "-c", code]}) == {
        "a": {"reference": {"p50_us": 3.0}}
    }

"""What may end a training early, and what is logged on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rl_lab import cli
from rl_lab.errors import BadInput
from rl_lab.training.callbacks import Moment, StopOnNoImprovement, StopOnReturn

A2C = ["train", "agent=a2c", "tuned=none", "logger=none", "training.selection_episodes=1"]


def moment(*returns: float, agent: Any = None) -> Moment:
    points = [{"step": i, "mean_return": value} for i, value in enumerate(returns)]
    return Moment(0, 0.0, {}, points, lambda values: None, agent)


def card(folder: Path) -> dict[str, Any]:
    (path,) = folder.rglob("run.json")
    data: dict[str, Any] = json.loads(path.read_text())
    return data


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_return_is_reached_by_the_latest_evaluation_only() -> None:
    stop = StopOnReturn(10.0)
    assert stop(moment()) is None
    assert stop(moment(11.0, 9.9)) is None
    assert stop(moment(9.9, 10.0)) == "mean return 10.0 reached 10"


@pytest.mark.parametrize(
    ("returns", "ends"),
    [
        ([5, 1, 1], False),  # the best is two evaluations ago
        ([5, 1, 1, 1], True),
        ([5, 5, 5, 5], True),  # an equal return is no improvement
        ([1, 1, 1, 2], False),
        ([1, 2, 1, 1, 1], True),
    ],
)
def test_no_improvement_counts_from_the_first_best(returns: list[float], ends: bool) -> None:
    assert (StopOnNoImprovement(3, 0)(moment(*returns)) is not None) is ends


def test_no_improvement_counts_nothing_before_the_minimum() -> None:
    stop = StopOnNoImprovement(2, 3)
    assert stop(moment(5, 1, 1, 1)) is None
    assert stop(moment(5, 1, 1, 1, 1)) == "no better mean return in 4 evaluations"


def test_a_training_ends_at_its_threshold_and_is_complete(tmp_path: Path) -> None:
    words = ["callback=stop_on_return", "callback.stop_on_return.threshold=1"]
    more = ["training.steps=5000", "training.selection_every_steps=100"]
    assert cli.main([*A2C, *words, *more]) == 0
    data = card(tmp_path)
    assert data["status"] == "complete"
    assert data["steps"] == 100
    assert data["ended"].startswith("stop_on_return: mean return ")
    kept = {path.parent.name for path in tmp_path.rglob("policy.onnx")}
    assert {"policy", "best"} <= kept


def test_the_threshold_is_the_environments_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "env=CartPole-v1", "callback=stop_on_return", "--cfg"]) == 0
    assert "threshold: 475.0" in capsys.readouterr().out
    assert cli.main(["train", "env=FrozenLake-v1", "agent=dqn", "callback=stop_on_return"]) == 2
    assert "callback.stop_on_return.threshold=NUMBER" in capsys.readouterr().err


def test_two_callbacks_watch_one_training_and_episodes_are_counted(tmp_path: Path) -> None:
    words = ["callback=[stop_on_no_improvement,stop_on_episodes]"]
    more = ["callback.stop_on_episodes.episodes=4", "training.steps=5000"]
    assert cli.main([*A2C, *words, *more]) == 0
    data = card(tmp_path)
    assert data["ended"] == "stop_on_episodes: 4 episodes are done"
    (log,) = tmp_path.rglob("metrics.jsonl")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    lengths = [r["raw/rollouts/episodic_length"] for r in rows if "raw/rollouts/episodes" in r]
    assert len(lengths) == 4
    # CartPole pays 1 per step; the algorithm learns every 5 steps and is asked only then.
    assert sum(lengths) <= data["steps"] < sum(lengths) + 5


def test_a_callback_of_the_users_own_by_target(tmp_path: Path) -> None:
    words = ["+callback.mine={_target_: fake_callbacks.StopAt, step: 200}"]
    assert cli.main([*A2C, *words, "training.steps=1000"]) == 0
    assert card(tmp_path)["steps"] == 200
    (log,) = tmp_path.rglob("metrics.jsonl")
    assert any('"mine/step"' in line for line in log.read_text().splitlines())


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["+callback.mine={_target_: fake_callbacks.StopAt, stepp: 1}"], "Did you mean 'step'"),
        (["+callback.mine={_target_: nowhere.At}"], "cannot be imported"),
        (["+callback.mine=3"], "_target_"),
        (["callback=stop_on_retrun"], "stop_on_return"),
        (["callback=stop_on_no_improvement", "callback.stop_on_no_improvement.patience=0"], "1"),
        (["training.seconds=-1"], "at least 0"),
        (["training.log_every_steps=often"], "a whole number or null"),
    ],
)
def test_a_wrong_callback_is_refused_before_learning(
    words: list[str], answer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*A2C, *words]) == 2
    assert answer in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_callback_needs_positive_patience() -> None:
    with pytest.raises(BadInput):
        StopOnNoImprovement(0, 0)


@pytest.mark.parametrize("agent", ["a2c", "dqn", "ars"])
def test_a_budget_of_wall_time_ends_every_family_and_says_what_it_costs(
    agent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", f"agent={agent}", "tuned=none", "training.seconds=0.2", "logger=none"]
    assert cli.main([*words, "training.steps=1_000_000", "training.selection_every_steps=0"]) == 0
    data = card(tmp_path)
    assert data["status"] == "complete"
    assert data["steps"] < 1_000_000
    assert data["ended"] == "training.seconds=0.2 of wall time are over"
    assert data["reproducible"] is False
    assert "not reproducible" in capsys.readouterr().out


@pytest.mark.parametrize(("every", "points"), [(100, 4), (0, 0)])
def test_log_points_come_where_they_are_asked_for(every: int, points: int, tmp_path: Path) -> None:
    words = [f"training.log_every_steps={every}", "training.selection_every_steps=0"]
    assert cli.main([*A2C, *words, "training.steps=450"]) == 0
    (log,) = tmp_path.rglob("metrics.jsonl")
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    # One more at the end, for what came after the last.
    assert steps == [*range(100, 100 * points + 1, 100), 450]

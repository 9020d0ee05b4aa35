"""A new run that starts from another one's weights, and says so in its name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_lab import checkpoints, cli, runs, states
from rl_lab.cli import planning
from rl_lab.cli.options import Options

SHORT = ["debug=smoke", "logger=none", "agent=a2c", "tuned=none"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained(output: str, *words: str) -> Path:
    assert cli.main(["train", *SHORT, f"output={output}", *words]) == 0
    (card,) = Path(output).rglob("run.json")
    return card.parent


def weights(run: Path) -> dict[str, np.ndarray]:
    state = checkpoints.final(run, runs.read(run)["steps"]).state()
    stored: Any = states.decode(state.data[states.WEIGHTS], state.arrays, None)
    return {k: np.asarray(v) for k, v in stored["modules"]["policy"].items()}


def test_it_starts_where_the_other_ended_and_counts_from_zero() -> None:
    first = trained("one", "training.normalize_observation=true")
    # No step is learned: with a rate of zero the weights are those of the start.
    second = trained(
        "two",
        f"training.warm_start={first}",
        "training.normalize_observation=true",
        "agent.learning_rate=0.0",
        "training.steps=100",
    )
    assert runs.read(second)["steps"] == 100
    before, after = weights(first), weights(second)
    assert all(np.array_equal(before[key], after[key]) for key in before)
    assert not all(
        np.array_equal(value, weights(trained("three"))[key]) for key, value in after.items()
    )


# None of its episodes ends within the steps of these runs.
OFF = ["env=MountainCar-v0", "agent=dqn", "agent.buffer_size=300", "agent.learning_starts=50"]
OFF += ["agent.policy_kwargs.net_arch=[16]"]
KEEPS = "checkpoint.keep_replay_buffer=true"


def replay(run: Path) -> dict[str, np.ndarray]:
    """The replay buffer that a run ended with, as it lies."""
    found = checkpoints.final(run, runs.read(run)["steps"])
    (ring,) = found.state().rings.values()
    places = {name: np.zeros((300, 1), np.float32) for name in ("rewards", "dones", "timeouts")}
    places |= {f"{which}observations": np.zeros((300, 1, 2), np.float32) for which in ("", "next_")}
    places["actions"] = np.zeros((300, 1, 1), np.int64)
    ring.copy_into(places)
    return places


def test_a_kept_replay_buffer_comes_along(capsys: pytest.CaptureFixture[str]) -> None:
    first = trained("one", *OFF, KEEPS, "training.steps=100")
    start = f"training.warm_start={first}"
    second = trained("two", *OFF, KEEPS, start, "training.steps=12")
    assert "normaliser and replay buffer (100 rows) are those of" in capsys.readouterr().err
    before, after = replay(first), replay(second)
    # 100 rows of the first run, then 12 of its own.
    for name in ("observations", "actions", "rewards"):
        assert np.array_equal(after[name][:100], before[name][:100]), name
    assert after["rewards"][100:112].all()
    assert not after["rewards"][112:].any()
    # The episode that was under way is cut off: it goes on nowhere, and it did not fail.
    assert before["dones"][99] == 0
    assert (after["dones"][99], after["timeouts"][99]) == (1, 1)
    alone = [*OFF, KEEPS, start, "training.warm_start_replay=false", "training.steps=12"]
    empty = trained("three", *alone)
    assert "random streams and replay buffer begin anew" in capsys.readouterr().err
    assert not replay(empty)["rewards"][12:].any()


def test_so_does_a_buffer_that_keeps_its_rows_where_it_likes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = [*OFF, "agent.replay_buffer={fake_parts.Shelf: {}}", KEEPS]
    first = trained("one", *own, "training.steps=100")
    second = trained("two", *own, f"training.warm_start={first}", "training.steps=12")
    assert "replay buffer (100 rows) are those of" in capsys.readouterr().err
    states_of = [checkpoints.final(run, runs.read(run)["steps"]).state() for run in (first, second)]
    kept = [len(state.data[states.REPLAY]["own"]["rows"]) for state in states_of]
    assert kept == [100, 112]
    bare = trained("three", *own[:-1], "training.steps=100")
    assert checkpoints.final(bare, 100).state().data[states.REPLAY] == {}


def test_a_full_buffer_whose_next_row_is_the_first_is_a_buffer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = [*OFF, "agent.replay_buffer={fake_parts.Turning: {}}", KEEPS, "agent.buffer_size=50"]
    first = trained("one", *own, "training.steps=100")
    kept = checkpoints.final(first, 100).state().data[states.REPLAY]
    assert (kept["pos"], kept["full"]) == (0, True)
    trained("two", *own, f"training.warm_start={first}", "training.steps=12")
    assert "replay buffer (50 rows) are those of" in capsys.readouterr().err


def test_the_kept_replay_buffer_is_part_of_the_name() -> None:
    runs_of = [trained("one", *OFF, KEEPS), trained("two", *OFF)]
    recipes = [
        planning.plan([*SHORT, *OFF, f"training.warm_start={run}", *more], Options())
        for run in runs_of
        for more in ([], ["training.warm_start_replay=false"])
    ]
    taken, left, none, same = [planned.plan.recipe_hash for planned in recipes]
    # The two runs are equal but for the buffer that one of them kept.
    assert taken != left == none == same


def test_a_replay_buffer_of_another_size_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    first = trained("one", *OFF, KEEPS)
    words = [*OFF, f"training.warm_start={first}", "agent.buffer_size=200", "output=x"]
    assert cli.main(["train", *SHORT, *words]) == 2
    error = capsys.readouterr().err
    assert "the stored replay buffer has 300 rows (expected [200] rows)" in error
    assert "training.warm_start_replay=false" in error
    assert cli.main(["train", *SHORT, *words, "training.warm_start_replay=false"]) == 0


def test_its_name_holds_what_it_starts_from_and_not_where_that_lies() -> None:
    one, two = trained("one"), trained("two", "agent.learning_rate=0.01")
    moved = Path("moved")
    shutil.copytree(one, moved)
    names = [
        planning.plan([*SHORT, f"training.warm_start={run}"], Options()).plan.recipe_hash
        for run in ("null", one, two, moved)
    ]
    assert names[1] == names[3]
    assert len(set(names)) == 3


def test_what_cannot_start_it_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    first = trained("one")
    for words, answer in (
        (["training.warm_start=nowhere"], "is not a run"),
        (
            [f"training.warm_start={first}", "agent=ppo", "agent.n_steps=32"],
            "rl_lab_agents.standard.A2C has trained",
        ),
        ([f"training.warm_start={first}", "agent.policy_kwargs.net_arch=[8]"], "networks"),
        ([f"training.warm_start={first}", "env=Acrobot-v1"], "networks"),
    ):
        assert cli.main(["train", *SHORT, "output=x", *words]) == 2, words
        assert answer in capsys.readouterr().err
        assert not Path("x").exists()

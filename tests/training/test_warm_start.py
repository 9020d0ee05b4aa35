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

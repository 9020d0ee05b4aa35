"""Numbers of an environment's info in the curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fakes
import gymnasium
import pytest
from identical import run_in

from rl_lab import cli


class Informed(fakes.Countdown):
    """Says how many steps are left, in words what it is, and whether the action was 1."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        info = {"left": self._left, "name": "x", "won": bool(action)}
        return observation, reward, terminated, truncated, info


if "FakeInformed-v0" not in gymnasium.registry:
    gymnasium.register("FakeInformed-v0", entry_point=Informed)

WORDS = ["train", "env=FakeInformed-v0", "tuned=none", "monitoring=none", "logger=none"]
WORDS += ["training.steps=60", "training.selection_every_steps=0"]
AGENTS = {
    "a2c": ["agent.n_steps=5", "training.n_envs=2"],
    "dqn": ["agent.learning_starts=20"],
    "ars": ["agent.n_delta=1"],
    "fast_a2c": ["agent.n_steps=5"],
}


def curve(folder: Path, tag: str) -> list[float]:
    lines = (run_in(folder) / "metrics.jsonl").read_text().splitlines()
    return [data[tag] for line in lines if tag in (data := json.loads(line))]


@pytest.mark.parametrize("agent", AGENTS)
def test_they_are_logged_where_an_episode_ends(agent: str, tmp_path: Path) -> None:
    if agent.startswith("fast"):
        pytest.importorskip("numba", reason="needs the extra 'fast'")
    asked = ["training.log_info=[left,won]", "training.log_episodes=true"]
    command = [*WORDS, f"agent={agent}", *AGENTS[agent], *asked, f"output={tmp_path}"]
    assert cli.main(command) == 0
    left = curve(tmp_path, "raw/info/left")
    assert set(left) == {0.0}, "an episode of this environment ends when none is left"
    assert len(left) == len(curve(tmp_path, "raw/rollouts/episodic_return")) > 5
    assert set(curve(tmp_path, "raw/info/won")) <= {0.0, 1.0}


@pytest.mark.parametrize(("asked", "hint"), [("lef", "Did you mean 'left'?"), ("name", "left")])
def test_what_is_not_there_is_refused_at_the_first_end(
    asked: str, hint: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [*WORDS, "agent=a2c", f"training.log_info=[{asked}]", f"output={tmp_path}"]
    assert cli.main(command) == 1
    errors = [x for x in capfd.readouterr().err.splitlines() if x.startswith("rl-lab: training.")]
    assert len(errors) == 1
    assert f"training.log_info={asked}: no such number in info" in errors[0]
    assert hint in errors[0]

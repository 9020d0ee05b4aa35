"""Everything shipped trains, freezes and is evaluated: each legal pair, each experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from omegaconf import OmegaConf

from rl_lab import cli, paths, spaces

CONF = paths.conf_dir()
NEEDS = {"LunarLander": "Box2D", "BipedalWalker": "Box2D", "-v5": "mujoco"}
# Shorter than a rollout of the algorithm's default, which is what a budget is rounded up to.
SHORT = {"ppo": ["agent.n_steps=32", "agent.batch_size=32"]}


def names(group: str) -> list[str]:
    return sorted(p.stem for p in (CONF / group).glob("*.yaml"))


def read(path: str) -> Any:
    return OmegaConf.to_container(OmegaConf.load(CONF / f"{path}.yaml"))


def legal_pairs() -> list[tuple[str, str]]:
    pairs = []
    for environment in names("env"):
        if environment == "any":
            continue
        kind = "discrete" if environment in DISCRETE else "box"
        for agent in names("agent"):
            if kind in read(f"agent/{agent}")["action_spaces"]:
                pairs.append((environment, agent))
    return pairs


DISCRETE = {"CartPole-v1", "Acrobot-v1", "MountainCar-v0", "LunarLander-v3"}


def require(environment: str) -> None:
    for part, package in NEEDS.items():
        if part in environment:
            pytest.importorskip(package, reason=f"{environment} needs {package}")


def test_the_pairs_are_as_many_as_shipped() -> None:
    # 4 environments with discrete actions, 7 with continuous ones.
    assert len([e for e in names("env") if e != "any"]) == 11
    agents = [a for a in names("agent") if a in {"ppo", "a2c", "dqn", "sac", "td3", "ddpg"}]
    assert len(agents) == 6
    assert len([p for p in legal_pairs() if p[1] in agents]) == 4 * 3 + 7 * 5


@pytest.mark.parametrize("environment", sorted(e for e in names("env") if e != "any"))
def test_the_kind_of_actions_is_what_the_pairs_assume(environment: str) -> None:
    require(environment)
    env = gymnasium.make(environment)
    kind = spaces.to_data(env.action_space)["kind"]
    env.close()
    assert (kind == "discrete") == (environment in DISCRETE)


@pytest.mark.parametrize(("environment", "agent"), legal_pairs())
def test_a_pair_trains_freezes_and_is_evaluated(
    environment: str, agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(environment)
    monkeypatch.chdir(tmp_path)
    words = f"train env={environment} agent={agent} tuned=none debug=smoke training.steps=160"
    assert cli.main([*words.split(), *SHORT.get(agent, [])]) == 0
    words = f"evaluate runs=outputs/train/{environment} name=e evaluation=quick shift=none"
    words += " evaluation.episodes=1 evaluation.workers=1 evaluation.speed.calls=0"
    assert cli.main(words.split()) == 0
    scores = json.loads((tmp_path / "outputs/evaluate/e/scores.json").read_text())
    assert [c["name"] for c in scores["contestants"]] == [agent]
    assert scores["contestants"][0]["reward"]["mean"]["estimate"] is not None


@pytest.mark.parametrize("experiment", names("experiment"))
def test_an_experiment_trains(
    experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for group in read(f"experiment/{experiment}").get("defaults", []):
        require(str(group.get("override /env", "")))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", f"experiment={experiment}", "debug=smoke"]) == 0
    assert len(list(tmp_path.rglob("policy.onnx"))) == 2

"""Everything shipped trains, freezes and is evaluated: each legal pair, each experiment."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from omegaconf import OmegaConf

from rl_lab import cli, paths, spaces
from rl_lab.cli import planning, training_sections
from rl_lab.cli.options import Options
from rl_lab.runs import POLICIES

CONF = paths.conf_dir()
NEEDS = {"LunarLander": "Box2D", "BipedalWalker": "Box2D", "-v5": "mujoco"}
# Shorter than a rollout of the algorithm's default, which is what a budget is rounded up to.
SHORT = {
    agent: ["agent.n_steps=32", "agent.batch_size=32"] for agent in ("ppo", "trpo", "recurrent_ppo")
}


def names(group: str) -> list[str]:
    return sorted(p.stem for p in (CONF / group).glob("*.yaml"))


def read(path: str) -> Any:
    return OmegaConf.to_container(OmegaConf.load(CONF / f"{path}.yaml"))


CORE = ("a2c", "ddpg", "dqn", "ppo", "sac", "td3")
# One environment for each kind of action; the core agents meet all environments.
CONTRIB = ("ars", "crossq", "maskable_ppo", "qrdqn", "recurrent_ppo", "tqc", "trpo")
CONTRIB_ENVIRONMENTS = ("CartPole-v1", "Pendulum-v1")


def worlds() -> list[str]:
    """Environments as they are registered; wrapped ones have tests of their own."""
    plain = [n for n in names("env") if n != "any"]
    return [n for n in plain if not read(f"env/{n}")["wrappers"]]


def legal_pairs() -> list[tuple[str, str]]:
    pairs = []
    for environment in worlds():
        kind = "discrete" if environment in DISCRETE else "box"
        for agent in names("agent"):
            if agent in CONTRIB and environment not in CONTRIB_ENVIRONMENTS:
                continue
            if agent != "maskable_ppo" and kind in read(f"agent/{agent}")["action_spaces"]:
                pairs.append((environment, agent))
    return pairs


DISCRETE = {"CartPole-v1", "Acrobot-v1", "MountainCar-v0", "LunarLander-v3"}


def require(environment: str) -> None:
    for part, package in NEEDS.items():
        if part in environment:
            pytest.importorskip(package, reason=f"{environment} needs {package}")


def test_the_pairs_are_as_many_as_shipped() -> None:
    # 4 environments with discrete actions, 8 with continuous ones.
    assert len(worlds()) == 12
    # The fast agents are held against their twins in tests/agents/fast.
    assert [a for a in names("agent") if "twin" not in read(f"agent/{a}")] == sorted(
        [*CORE, *CONTRIB]
    )
    assert len([p for p in legal_pairs() if p[1] in CORE]) == 4 * 3 + 8 * 5
    # CartPole: qrdqn, trpo, ars, recurrent_ppo. Pendulum: tqc, crossq, trpo, ars, recurrent_ppo.
    assert len([p for p in legal_pairs() if p[1] in CONTRIB]) == 4 + 5


@pytest.mark.parametrize("environment", worlds())
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


def test_masks_reach_training_and_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The environment raises at a forbidden action, so an unmasked decision cannot pass unseen.
    monkeypatch.chdir(tmp_path)
    words = "train env=FakeMasked-v0 agent=maskable_ppo env.imports=[fakes] debug=smoke"
    short = ["agent.n_steps=32", "agent.batch_size=32"]
    assert cli.main([*words.split(), *short]) == 0
    words = "evaluate runs=outputs imports=[fakes] evaluation=quick name=e"
    assert cli.main([*words.split(), "evaluation.speed.calls=50"]) == 0
    assert cli.main(["train", "agent=maskable_ppo", "debug=smoke"]) == 2
    assert "has no action_masks()" in capsys.readouterr().err


@pytest.mark.parametrize("experiment", names("experiment"))
def test_an_experiment_trains(
    experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for group in read(f"experiment/{experiment}").get("defaults", []):
        require(str(group.get("override /env", "")))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", f"experiment={experiment}", "debug=smoke"]) == 0
    (run,) = (path.parent for path in tmp_path.rglob("run.json"))
    assert all((run / name / "policy.onnx").is_file() for name in POLICIES.values())


TUNED = [p.relative_to(CONF / "tuned").with_suffix("") for p in (CONF / "tuned").rglob("*/*.yaml")]
PACKAGES = {**NEEDS, "CarRacing": "cv2", "atari": "ale_py"}


@pytest.mark.parametrize("pair", sorted(map(str, TUNED)))
def test_tuned_settings_build_their_agent(
    pair: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, agent = pair.split("/")
    for part, package in PACKAGES.items():
        if part in environment:
            pytest.importorskip(package, reason=f"{environment} needs {package}")
    monkeypatch.chdir(tmp_path)
    words = [f"env={environment}", f"agent={agent}"]
    job = planning.plan(words, Options())
    assert job.plan.settings.startswith("tuned for ")
    # Two environments show the same as 32, and hold less memory.
    training = dataclasses.replace(job.plan.training, n_envs=min(2, job.plan.training.n_envs))
    # A buffer for a million pictures takes tens of gigabytes.
    settings = {**job.agent, **({"buffer_size": 1_000} if "buffer_size" in job.agent else {})}
    made = training_sections.make_agent(settings)(job.plan.make_env, training, 0)
    assert made.policy().observation_space is not None


def test_masks_of_taxi_reach_its_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "env=Taxi-v4", "agent=maskable_ppo", "debug=smoke"]
    assert cli.main([*words, "agent.n_steps=32", "agent.batch_size=32"]) == 0
    (card,) = tmp_path.rglob("policy/policy.json")
    assert json.loads(card.read_text())["action_masks"] is True


def test_a_masked_world_has_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "env=CartPoleNoVel-v1", "agent=recurrent_ppo", "debug=smoke"]
    assert cli.main([*words, "agent.n_steps=32", "agent.batch_size=32"]) == 0
    words = ["evaluate", "runs=outputs/train/CartPoleNoVel-v1", "evaluation=quick", "name=e"]
    assert cli.main([*words, "evaluation.speed.calls=0", "evaluation.episodes=2"]) == 0


def test_a_game_trains_on_lives_and_clipped_rewards_and_plays_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ale_py", reason="needs the extra 'atari'")
    pytest.importorskip("cv2", reason="needs the extra 'atari'")
    monkeypatch.chdir(tmp_path)
    words = ["train", "env=atari", "env.game=Pong", "agent=a2c", "debug=smoke", "logger=none"]
    more = ["training.steps=10", "training.selection_every_steps=0"]
    assert cli.main([*words, *more]) == 0
    (card,) = tmp_path.rglob("policy/policy.json")
    assert "EpisodicLife" not in card.read_text()
    assert "PongNoFrameskip-v4" in str(card)

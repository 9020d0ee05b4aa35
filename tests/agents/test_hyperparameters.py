"""Schedules, action noise, replay buffers and classes from plain data, checked by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import fakes
import gymnasium
import numpy as np
import pytest
from small_agents import plain_training

pytest.importorskip("stable_baselines3", reason="needs stable-baselines3")
import stable_baselines3
from rl_lab_agents import exploring, live, sb3, schedules
from stable_baselines3.common import noise as library

from rl_lab import cli
from rl_lab.errors import BadInput

assert fakes


def built(environment: str, algorithm: str, policy: str = "MlpPolicy", **settings: Any) -> Any:
    training = plain_training(steps=100)
    path = algorithm if "." in algorithm else f"stable_baselines3.{algorithm}"

    def make() -> Any:
        return gymnasium.make(environment)

    return sb3.make(make, training, 0, algorithm=path, policy=policy, **settings)


class Silent:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.values: list[tuple[int, dict[str, float]]] = []

    def metrics(self, step: int, values: Any) -> None:
        self.values.append((step, dict(values)))

    def boundary(self, step: int) -> bool:
        return True


# Schedules -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "at"),
    [
        ({"schedule": "constant", "value": 3.0}, {1.0: 3.0, 0.0: 3.0}),
        ({"schedule": "linear", "start": 1.0, "end": 0.0}, {1.0: 1.0, 0.25: 0.25, 0.0: 0.0}),
        (
            {"schedule": "linear", "start": 1.0, "end": 0.2, "fraction": 0.5},
            {1.0: 1.0, 0.75: 0.6, 0.5: 0.2, 0.1: 0.2},
        ),
        (
            {"schedule": "exponential", "start": 1.0, "end": 0.01},
            {1.0: 1.0, 0.5: 0.1, 0.0: 0.01},
        ),
        ({"schedule": "cosine", "start": 2.0, "end": 0.0}, {1.0: 2.0, 0.5: 1.0, 0.0: 0.0}),
        (
            {"schedule": "cosine", "start": 1.0, "end": 0.0},
            {0.75: (1 + math.sqrt(0.5)) / 2},
        ),
        (
            {"schedule": "steps", "points": [[0, 1.0], [0.5, 0.1], [0.75, 0.01]]},
            {1.0: 1.0, 0.51: 1.0, 0.5: 0.1, 0.25: 0.01, 0.0: 0.01},
        ),
    ],
)
def test_a_schedule_has_these_values(data: dict[str, Any], at: dict[float, float]) -> None:
    schedule = schedules.build("learning_rate", data)
    for remaining, value in at.items():
        assert schedule(remaining) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    "data",
    [
        {"schedule": "linera", "start": 1.0, "end": 0.0},
        {"schedule": "linear", "start": 1.0},
        {"schedule": "linear", "start": "__import__('os').getcwd()", "end": 0.0},
        {"schedule": "linear", "start": 1.0, "end": 0.0, "fraction": 0.0},
        {"schedule": "exponential", "start": 1.0, "end": 0.0},
        {"schedule": "steps", "points": [[0.1, 1.0]]},
        {"schedule": "steps", "points": []},
        {"schedule": "nowhere.At"},
    ],
)
def test_a_wrong_schedule_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        schedules.build("learning_rate", data)


def test_a_schedule_of_the_users_own() -> None:
    data = {"schedule": "rl_lab_agents.schedules.Linear", "start": 1.0, "end": 0.0}
    assert schedules.build("tau", data)(0.5) == 0.5


def test_learning_rate_goes_to_the_algorithm_and_others_are_set_at_each_update() -> None:
    down = {"schedule": "linear", "start": 0.4, "end": 0.0}
    agent = built("CartPole-v1", "A2C", ent_coef=down, learning_rate=down, gae_lambda=down)
    assert agent._model.ent_coef == 0.4
    listener = Silent()
    agent.learn(100, listener)
    # 20 updates of 5 steps; the last one begins where 95 steps are done.
    assert agent._model.ent_coef == pytest.approx(0.4 * 0.05)
    assert agent._model.rollout_buffer.gae_lambda == pytest.approx(0.4 * 0.05)
    last = {k: v for _, values in listener.values for k, v in values.items()}
    assert last["train/ent_coef"] == pytest.approx(0.4 * 0.05)
    assert last["train/learning_rate"] == 0.0


def test_a_scheduled_entropy_weight_reaches_the_loss_of_sac() -> None:
    steps = {"schedule": "steps", "points": [[0, 0.5], [0.5, 0.25]]}
    settings = {"buffer_size": 100, "learning_starts": 10, "policy_kwargs": {"net_arch": [4]}}
    agent = built("Pendulum-v1", "SAC", ent_coef=steps, **settings)
    assert agent._model.ent_coef_tensor.item() == 0.5
    agent.learn(40, Silent())
    assert agent._model.ent_coef_tensor.item() == 0.25


def test_which_keys_can_have_schedules() -> None:
    ppo = stable_baselines3.PPO
    assert {
        k for k in sb3.constructor_defaults("stable_baselines3.PPO") if live.takes_schedules(ppo, k)
    } == {"learning_rate", "clip_range", "clip_range_vf"}
    for key in ("gamma", "vf_coef", "max_grad_norm", "target_kl"):
        live.require_live(ppo, key)
    for key in ("n_steps", "batch_size", "policy_kwargs", "nothing"):
        with pytest.raises(BadInput, match="fixes it"):
            live.require_live(ppo, key)
    with pytest.raises(BadInput, match="fixes it"):
        live.require_live(stable_baselines3.DQN, "exploration_final_eps")


def test_reward_normalisation_begins_with_a_scheduled_discount() -> None:
    agent = built("CartPole-v1", "A2C", gamma={"schedule": "constant", "value": 0.5})
    assert agent._model.gamma == 0.5


@pytest.mark.parametrize(
    ("algorithm", "key", "value", "wanted"),
    [
        ("PPO", "gamma", "abc", "a number"),
        ("PPO", "n_epochs", True, "a whole number"),
        ("PPO", "target_kl", "abc", "a number"),
        ("PPO", "clip_range_vf", True, "a number"),
        ("sb3_contrib.ARS", "n_top", "all", "a whole number"),
    ],
)
def test_what_is_no_number_is_refused(algorithm: str, key: str, value: Any, wanted: str) -> None:
    with pytest.raises(BadInput, match=rf"agent\.{key}={value!r}") as refused:
        built("CartPole-v1", algorithm, **{key: value})
    assert refused.value.expected == wanted


def test_numbers_and_words_that_an_algorithm_takes_pass() -> None:
    built("CartPole-v1", "PPO", target_kl=0.1, clip_range_vf={"schedule": "constant", "value": 0.1})
    built("Pendulum-v1", "SAC", ent_coef="auto_0.1", target_entropy="auto", buffer_size=10)


# Noise ---------------------------------------------------------------------------------------

PLANE = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)


def test_noise_has_one_deviation_per_action() -> None:
    made = exploring.noise({"kind": "normal", "std": [0.1, 0.3], "mean": 1.0}, PLANE)
    assert isinstance(made, library.NormalActionNoise)
    assert made._sigma.tolist() == [0.1, 0.3]
    assert made._mu.tolist() == [1.0, 1.0]
    made = exploring.noise(
        {"kind": "ornstein-uhlenbeck", "std": 0.2, "theta": 0.5, "dt": 0.1}, PLANE
    )
    assert isinstance(made, library.OrnsteinUhlenbeckActionNoise)
    assert (made._theta, made._dt, made._sigma.tolist()) == (0.5, 0.1, [0.2, 0.2])


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "normal", "std": [0.1, 0.2, 0.3]},
        {"kind": "normal", "std": -0.1},
        {"kind": "normal", "std": "0.1 * 2"},
        {"kind": "normal", "std": 0.1, "theta": 0.2},
        {"kind": "gauss", "std": 0.1},
        {"kind": "normal"},
        0.1,
    ],
)
def test_wrong_noise_is_refused(data: Any) -> None:
    with pytest.raises(BadInput):
        exploring.noise(data, PLANE)


# Replay buffers ------------------------------------------------------------------------------


def test_an_n_step_buffer_and_a_lean_one() -> None:
    few = {"buffer_size": 50, "policy_kwargs": {"net_arch": [4]}}
    agent = built("Pendulum-v1", "SAC", n_steps=3, gamma=0.9, **few)
    buffer = agent._model.replay_buffer
    assert (type(buffer).__name__, buffer.n_steps, buffer.gamma) == ("NStepReplayBuffer", 3, 0.9)
    lean = {"optimize_memory_usage": True}
    with pytest.raises(BadInput, match="handle_timeout_termination"):
        built("Pendulum-v1", "SAC", **lean, **few)
    buffer = {"standard": {"handle_timeout_termination": False}}
    agent = built("Pendulum-v1", "SAC", **lean, **few, replay_buffer=buffer)
    assert agent._model.replay_buffer.optimize_memory_usage
    own = {"stable_baselines3.common.buffers.ReplayBuffer": {}}
    assert built("Pendulum-v1", "DDPG", **few, replay_buffer=own)


@pytest.mark.parametrize(
    ("environment", "buffer", "answer"),
    [
        ("Pendulum-v1", {"her": {}}, "without goals"),
        ("FakeGoal-v0", {"her": {}, "standard": {}}, "one of"),
        ("FakeGoal-v0", {"hre": {}}, "'her'"),
        ("FakeGoal-v0", "her", "one of"),
        ("FakeGoal-v0", {"her": {}}, "learning_starts=10"),
        ("FakeGoal-v0", {"her": {"n_sampled_goals": 4}}, "n_sampled_goals"),
        ("FakeGoal-v0", {"nowhere.Buffer": {}}, "cannot be imported"),
    ],
)
def test_a_wrong_replay_buffer_is_refused(environment: str, buffer: Any, answer: str) -> None:
    starts = 10 if "n_sampled" in str(buffer) else 5
    with pytest.raises(BadInput) as caught:
        built(environment, "SAC", "MultiInputPolicy", replay_buffer=buffer, learning_starts=starts)
    assert answer in str(caught.value)


def test_hindsight_learns_freezes_and_is_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "env=FakeGoal-v0", "env.imports=[fakes]", "agent=sac", "logger=none"]
    words += ["agent.policy=MultiInputPolicy", "agent.replay_buffer={her: {n_sampled_goal: 4}}"]
    words += ["agent.learning_starts=100", "agent.buffer_size=2000", "agent.learning_rate=0.01"]
    words += ["agent.policy_kwargs.net_arch=[16]", "agent.batch_size=64", "agent.gamma=0.9"]
    words += ["training.steps=800", "training.selection_every_steps=0"]
    assert cli.main(words) == 0
    words = ["evaluate", "runs=outputs/train", "imports=[fakes]", "evaluation=quick", "name=e"]
    assert cli.main([*words, "evaluation.speed.calls=0", "evaluation.episodes=20"]) == 0
    rows = (tmp_path / "outputs/evaluate/e/episodes.csv").read_text().splitlines()[1:]
    returns = [float(row.split(",")[6]) for row in rows]
    # Random play pays -9.3 and the straight way to the goal about -1.
    assert sum(returns) / len(returns) > -2.0


# Classes -------------------------------------------------------------------------------------


def test_classes_come_by_dotted_path() -> None:
    path = "stable_baselines3.common.sb2_compat.rmsprop_tf_like.RMSpropTFLike"
    kwargs = {"optimizer_class": path, "optimizer_kwargs": {"eps": 1e-5}}
    kwargs["features_extractor_class"] = "stable_baselines3.common.torch_layers.FlattenExtractor"
    agent = built("CartPole-v1", "A2C", policy_kwargs={**kwargs, "activation_fn": "relu"})
    assert type(agent._model.policy.optimizer).__name__ == "RMSpropTFLike"
    with pytest.raises(BadInput, match="cannot be imported"):
        built("CartPole-v1", "A2C", policy_kwargs={"features_extractor_class": "nowhere.At"})
    with pytest.raises(BadInput, match="relu"):
        built("CartPole-v1", "A2C", policy_kwargs={"activation_fn": "relo"})

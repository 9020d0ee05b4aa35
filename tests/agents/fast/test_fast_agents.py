"""Fast agents are drop-in: determinism, faults, normalisation, freezing, fallbacks, foreign use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3
import torch
from small_agents import plain_training
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

pytest.importorskip("numba", reason="needs the extra 'fast'")

from fakes import Faulty
from rl_lab_agents import sb3
from rl_lab_agents.fast.a2c import FastA2C
from rl_lab_agents.fast.dqn import FastDQN
from rl_lab_agents.fast.ppo import FastPPO
from rl_lab_agents.fast.sac import FastSAC
from rl_lab_agents.fast.stepping import Stepper
from rl_lab_agents.fast.td3 import FastTD3

from rl_lab import freezing
from rl_lab.environments import CheckedEnv, EnvironmentRecipe, make
from rl_lab.errors import EnvironmentFault

SMALL: dict[str, Any] = {"policy_kwargs": {"net_arch": [16, 16]}}
OFF = {**SMALL, "learning_starts": 20, "batch_size": 16, "buffer_size": 500}
AGENTS = {
    "ppo": (FastPPO, "CartPole-v1", {**SMALL, "n_steps": 16, "batch_size": 24, "n_epochs": 3}),
    "a2c": (FastA2C, "CartPole-v1", SMALL),
    "dqn": (FastDQN, "CartPole-v1", OFF),
    "sac": (FastSAC, "Pendulum-v1", OFF),
    "td3": (FastTD3, "Pendulum-v1", {**OFF, "action_noise": {"kind": "normal", "std": 0.1}}),
}
FACTS = {
    "agent": "x",
    "training_seed": 0,
    "steps": 0,
    "recipe_hash": "",
    "anchors": None,
    "provenance": {},
}


class Silent:
    """Listens to nothing."""

    def metrics(self, step: int, values: Any) -> None:
        assert all(isinstance(value, float) for value in values.values())

    def boundary(self, step: int) -> bool:
        return True


def agent_of(name: str, make_env: Any = None, seed: int = 0, **training: Any) -> Any:
    kind, environment, settings = AGENTS[name]
    return sb3.make(
        make_env or (lambda: make(EnvironmentRecipe(environment, {}, (), 20))),
        plain_training(**{"n_envs": 2, **training}),
        seed,
        algorithm=f"{kind.__module__}.{kind.__name__}",
        policy="MlpPolicy",
        **settings,
    )


def weights(agent: Any) -> np.ndarray:
    found = [p.detach().numpy().ravel() for p in agent._model.policy.parameters()]
    return np.concatenate(found)


@pytest.mark.parametrize("name", AGENTS)
def test_a_seed_gives_the_same_weights_and_another_seed_others(name: str) -> None:
    agents = [agent_of(name, seed=seed) for seed in (0, 0, 1)]
    before = weights(agents[0]).copy()
    for agent in agents:
        agent.learn(130, Silent())
        assert agent._model._network is not None
    first, again, other = (weights(agent) for agent in agents)
    np.testing.assert_array_equal(first, again)
    assert (first != before).any()
    assert (first != other).any()
    assert agents[0].costs()["gradient_updates"] > 0


@pytest.mark.parametrize("name", AGENTS)
def test_a_frozen_policy_is_proved_equal(name: str) -> None:
    agent = agent_of(name)
    agent.learn(70, Silent())
    recipe = EnvironmentRecipe(AGENTS[name][1], {}, (), None).to_data()
    policy = freezing.freeze(agent.policy(), {**FACTS, "environment": recipe})
    assert policy.card.algorithm.endswith(AGENTS[name][0].__name__)


@pytest.mark.parametrize("name", AGENTS)
def test_a_zip_is_read_by_the_standard_class(name: str, tmp_path: Path) -> None:
    agent = agent_of(name)
    agent.learn(70, Silent())
    agent._model.save(tmp_path / "model.zip")
    standard = getattr(stable_baselines3, name.upper()).load(tmp_path / "model.zip")
    with np.load(_stored(tmp_path, agent)) as arrays:
        for key, tensor in standard.policy.state_dict().items():
            np.testing.assert_array_equal(arrays[key], tensor.numpy())
    assert standard.num_timesteps == agent._model.num_timesteps


def _stored(folder: Path, agent: Any) -> Path:
    np.savez(
        folder / "w.npz", **{k: v.numpy() for k, v in agent._model.policy.state_dict().items()}
    )
    return folder / "w.npz"


@pytest.mark.parametrize("fault", ["nan_observation", "nan_reward", "shape", "raise"])
@pytest.mark.parametrize(("name", "normalize"), [("ppo", False), ("ppo", True), ("dqn", False)])
def test_faults_are_found_where_they_happen(name: str, fault: str, normalize: bool) -> None:
    agent = agent_of(
        name, lambda: Faulty(fault), normalize_observation=normalize, normalize_reward=normalize
    )
    with pytest.raises(EnvironmentFault) as caught:
        agent.learn(100, Silent())
    standard = sb3.make(
        lambda: Faulty(fault),
        plain_training(n_envs=2),
        0,
        algorithm=f"stable_baselines3.{name.upper()}",
        policy="MlpPolicy",
    )
    with pytest.raises(EnvironmentFault) as expected:
        standard.learn(100, Silent())
    assert str(caught.value) == str(expected.value)


def test_stepping_leaves_the_wrappers_as_their_own_steps_do() -> None:
    recipe = EnvironmentRecipe("CartPole-v1", {}, (), 12)
    lean, usual = (DummyVecEnv([lambda: Monitor(CheckedEnv(make(recipe)))] * 3) for _ in range(2))
    draws = np.random.default_rng(0)
    for env in (lean, usual):
        env.seed(5)
        env.reset()
    stepper = Stepper(lean.envs)
    observations, rewards = np.zeros((3, 4), np.float32), np.zeros(3, np.float32)
    for _ in range(60):
        actions = draws.integers(0, 2, 3)
        ended = stepper.step(actions.tolist(), observations, rewards)
        expected, expected_rewards, dones, infos = usual.step(actions)
        np.testing.assert_array_equal(observations, expected)
        np.testing.assert_array_equal(rewards, expected_rewards)
        assert [e.index for e in ended] == np.flatnonzero(dones).tolist()
        for episode in ended:
            info = infos[episode.index]
            assert episode.truncated == info["TimeLimit.truncated"]
            np.testing.assert_array_equal(episode.observation, info["terminal_observation"])
            assert episode.info["episode"]["r"] == info["episode"]["r"]
            assert episode.info["episode"]["l"] == info["episode"]["l"]
    stepper.settle()
    for mine, other in zip(lean.envs, usual.envs, strict=True):
        assert mine.rewards == other.rewards
        assert mine.episode_returns == other.episode_returns
        assert vars(mine.env)["_step"] == vars(other.env)["_step"]
        assert vars(mine.env)["_episode"] == vars(other.env)["_episode"]
        assert mine.env.env._elapsed_steps == other.env.env._elapsed_steps


def test_normalising_is_that_of_vec_normalize() -> None:
    from rl_lab_agents.fast.normalizing import Normalizer

    def made() -> VecNormalize:
        env = DummyVecEnv([lambda: Monitor(gymnasium.make("Pendulum-v1", max_episode_steps=9))] * 3)
        env.seed(1)
        normalizer = VecNormalize(env, gamma=0.9)
        normalizer.reset()
        return normalizer

    source, usual = made(), made()
    mine = Normalizer(source)
    out = np.zeros((3, 3), np.float32)
    draws = np.random.default_rng(0)
    for _ in range(40):
        expected, expected_rewards, dones, infos = usual.step(draws.uniform(-2, 2, (3, 1)))
        rewards = usual.get_original_reward().astype(np.float32)
        mine.step(usual.get_original_obs(), out, rewards)
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(rewards, expected_rewards, rtol=1e-5, atol=1e-5)
        for i in np.flatnonzero(dones):
            raw = usual.unnormalize_obs(infos[i]["terminal_observation"])[None].astype(np.float32)
            last = infos[i]["terminal_observation"]
            np.testing.assert_allclose(mine.last(raw)[0], last, rtol=1e-4, atol=1e-4)
            mine.end_episode(int(i))
    mine.store(usual.get_original_obs(), usual.get_original_reward())
    for name in ("obs_rms", "ret_rms"):
        for part in ("mean", "var", "count"):
            a, b = (getattr(getattr(w, name), part) for w in (source, usual))
            np.testing.assert_allclose(a, b, rtol=1e-5)
    np.testing.assert_allclose(source.returns, usual.returns, rtol=1e-5)


def test_returns_are_those_of_the_rollout_buffer() -> None:
    agent = agent_of("ppo")
    agent.learn(32, Silent())
    buffer = agent._model.rollout_buffer
    advantages, returns = buffer.advantages.copy(), buffer.returns.copy()
    rollout = agent._model._rollout
    last = torch.from_numpy(rollout.last_values.copy())
    buffer.compute_returns_and_advantage(last, rollout.starts[-1])
    np.testing.assert_allclose(advantages, buffer.advantages, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(returns, buffer.returns, rtol=1e-5, atol=1e-5)


FALLBACKS = [
    ("ppo", {"frame_stack": 2}, {}, "VecFrameStack"),
    ("ppo", {}, {"policy_kwargs": {"activation_fn": "gelu"}}, "GELU"),
    ("dqn", {"normalize_observation": True}, {}, "normalisation"),
    ("dqn", {}, {"n_steps": 3}, "n_steps"),
    ("sac", {}, {"use_sde": True}, "use_sde"),
    ("td3", {}, {"policy_kwargs": {"activation_fn": "elu"}}, "ELU"),
]


@pytest.mark.parametrize("case", FALLBACKS, ids=lambda case: f"{case[0]}-{case[3]}")
def test_what_is_not_covered_takes_the_standard_path_and_says_so(
    case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, training, settings, word = case
    kind, environment, own = AGENTS[name]
    monkeypatch.setitem(AGENTS, name, (kind, environment, {**own, **settings}))
    agent = agent_of(name, **training)
    with pytest.warns(UserWarning, match=word):
        agent.learn(70, Silent())
    monkeypatch.setitem(AGENTS, name, (kind.__mro__[2], environment, {**own, **settings}))
    standard = agent_of(name, **training)
    standard.learn(70, Silent())
    np.testing.assert_array_equal(weights(agent), weights(standard))

"""A frozen policy takes a model's place in stable-baselines3's own `evaluate_policy`."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.test_freezing_grid import ALGORITHMS, randomize, training
from agents.test_library_cases_freezing import KEPT, AtEachBoundary
from rl_lab_agents import sb3
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack, VecNormalize

from rl_lab import episodes, freezing
from rl_lab.frozen_policy import FrozenPolicy

CARTPOLE, PENDULUM = "CartPole-v1", "Pendulum-v1"
LSTM = {"n_steps": 32, "policy_kwargs": {"lstm_hidden_size": 16}}
MODELS: dict[str, tuple[str, str, str, dict[str, Any], dict[str, Any]]] = {
    "ppo": ("ppo", "MlpPolicy", CARTPOLE, {}, {}),
    "dqn": ("dqn", "MlpPolicy", CARTPOLE, {}, {}),
    "a2c": ("a2c", "MlpPolicy", PENDULUM, {}, {}),
    "sac": ("sac", "MlpPolicy", PENDULUM, {}, {}),
    "td3": ("td3", "MlpPolicy", PENDULUM, {}, {}),
    "recurrent": ("recurrent_ppo", "MlpLstmPolicy", CARTPOLE, {}, LSTM),
    "recurrent_pendulum": ("recurrent_ppo", "MlpLstmPolicy", PENDULUM, {}, LSTM),
    "normalized": ("ppo", "MlpPolicy", CARTPOLE, {"normalize_observation": True}, {"n_steps": 64}),
    "stacked": ("ppo", "MlpPolicy", CARTPOLE, {"frame_stack": 3}, {}),
    "both": (
        "ppo",
        "MlpPolicy",
        PENDULUM,
        {"normalize_observation": True, "frame_stack": 2},
        {"n_steps": 64},
    ),
}


@functools.cache
def pair(name: str) -> tuple[Any, FrozenPolicy]:
    """A model that has learned a little, and its frozen policy."""
    algorithm, policy, environment, changes, settings = MODELS[name]
    path, _, keywords = ALGORITHMS[algorithm]
    agent = sb3.make(
        lambda: gymnasium.make(environment),
        training(**changes),
        3,
        algorithm=path,
        policy=policy,
        **{**keywords, **settings},
    )
    if "n_steps" in settings:
        agent.learn(128, AtEachBoundary())
    else:
        randomize(agent)
    return agent._model, freezing.freeze(agent.policy(), KEPT)


def raw(name: str, count: int, seed: int) -> VecEnv:
    """What a frozen policy acts in: the environment as it is, side by side with others."""
    environment = MODELS[name][2]
    env = DummyVecEnv([lambda: Monitor(gymnasium.make(environment))] * count)
    env.seed(seed)
    return env


def wrapped(name: str, count: int, seed: int) -> VecEnv:
    """What the model acts in: the same with the wrappers of its training."""
    model, _ = pair(name)
    env, changes = raw(name, count, seed), MODELS[name][3]
    if "normalize_observation" in changes:
        env = VecNormalize(env, training=False, norm_reward=False)
        env.obs_rms = model.get_vec_normalize_env().obs_rms
    if "frame_stack" in changes:
        env = VecFrameStack(env, changes["frame_stack"])
    return env


def evaluated(model: Any, env: VecEnv, count: int) -> tuple[list[float], list[int]]:
    returns, lengths = evaluate_policy(model, env, count, return_episode_rewards=True)
    env.close()
    return list(returns), list(lengths)


@pytest.mark.parametrize("name", MODELS)
def test_a_frozen_policy_earns_what_its_model_earns(name: str) -> None:
    model, policy = pair(name)
    for envs, count, seed in ((1, 2, 11), (3, 5, 12)):
        returns, lengths = evaluated(model, wrapped(name, envs, seed), count)
        found, found_lengths = evaluated(policy, raw(name, envs, seed), count)
        assert found_lengths == lengths
        np.testing.assert_allclose(found, returns, rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_rl_labs_own_episodes_earn_the_same_on_the_same_seeds(name: str) -> None:
    _, policy = pair(name)
    env = gymnasium.make(MODELS[name][2])
    for seed in (21, 22):
        # Only an episode that begins with a seed of its own is the same in both.
        returns, lengths = evaluated(policy, raw(name, 1, seed), 1)
        episode = episodes.run_episode(env, policy, seed, step_limit=500)
        assert episode.length == lengths[0]
        assert episode.episode_return == pytest.approx(returns[0], rel=1e-4)
    env.close()


@pytest.mark.parametrize("envs", [1, 2, 5, 7])
def test_the_library_counts_as_many_episodes_as_it_was_asked_for(envs: int) -> None:
    _, policy = pair("recurrent")
    assert len(evaluated(policy, raw("recurrent", envs, 0), 6)[0]) == 6


def test_mean_and_deviation_are_the_models_too() -> None:
    model, policy = pair("ppo")
    mine = evaluate_policy(policy, raw("ppo", 2, 5), 4)
    assert mine == pytest.approx(evaluate_policy(model, raw("ppo", 2, 5), 4))


def test_the_library_takes_an_environment_that_is_not_vectorised() -> None:
    _, policy = pair("dqn")
    returns, lengths = evaluate_policy(
        policy, Monitor(gymnasium.make(CARTPOLE)), 3, return_episode_rewards=True
    )
    assert list(returns) == [float(length) for length in lengths]


def test_memory_restarts_with_every_episode() -> None:
    # An LSTM that went on through the end of an episode would act otherwise in the next one.
    _, policy = pair("recurrent")
    numbers, state, fresh = np.random.default_rng(0), None, None
    for _ in range(5):
        _, state = policy.predict(numbers.normal(size=(2, 4)), state, np.zeros(2, bool))
    observation = numbers.normal(size=(2, 4))
    actions, state = policy.predict(observation, state, np.array([True, False]))
    expected, fresh = policy.predict(observation)
    assert state is not None
    assert fresh is not None
    np.testing.assert_array_equal(state[0][0], fresh[0][0])
    assert not np.allclose(state[0][1], fresh[0][1])
    assert actions[0] == expected[0]

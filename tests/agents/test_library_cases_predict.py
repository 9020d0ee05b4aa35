"""stable-baselines3's cases of `predict`, on frozen policies and on their own `act`."""

from __future__ import annotations

import copy
import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.test_freezing_grid import FACTS, Dummy
from agents.test_library_cases_preprocessing import build
from gymnasium import spaces as gym_spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from rl_lab import freezing, spaces
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import FrozenPolicy

VECTOR = gym_spaces.Box(-1.0, 1.0, (3,), np.float32)
PARTS = gym_spaces.Dict({"a": gym_spaces.Box(-1.0, 1.0, (2,)), "b": gym_spaces.Discrete(3)})
BOX = gym_spaces.Box(-1.0, 1.0, (2,), np.float32)
POLICIES: dict[str, tuple[Any, Any, str, str, dict[str, Any]]] = {
    "vector": (VECTOR, BOX, "ppo", "MlpPolicy", {}),
    "squashed": (VECTOR, BOX, "sac", "MlpPolicy", {}),
    "discrete": (gym_spaces.Discrete(3), BOX, "ppo", "MlpPolicy", {}),
    "choices": (VECTOR, gym_spaces.MultiDiscrete([3, 4]), "ppo", "MlpPolicy", {}),
    "dict": (PARTS, BOX, "ppo", "MultiInputPolicy", {}),
    "stacked": (VECTOR, BOX, "ppo", "MlpPolicy", {"changes": {"frame_stack": 3}}),
    "recurrent": (VECTOR, BOX, "recurrent_ppo", "MlpLstmPolicy", {}),
    "masked": (VECTOR, gym_spaces.Discrete(4), "maskable_ppo", "MlpPolicy", {}),
}
UNMASKED = [name for name in POLICIES if name != "masked"]


@functools.cache
def frozen(name: str) -> FrozenPolicy:
    """One policy of each kind, for all tests; none of them can change it."""
    observation, action, algorithm, policy, keywords = POLICIES[name]
    return freezing.freeze(
        build(observation, action, algorithm, policy, **keywords).policy(), FACTS
    )


def drawn(policy: FrozenPolicy, count: int, seed: int = 0) -> Any:
    return spaces.draw(policy.observation_space, count, np.random.default_rng(seed))


def row(batch: Any, i: int) -> Any:
    return {key: part[i] for key, part in batch.items()} if isinstance(batch, dict) else batch[i]


@pytest.mark.parametrize(
    ("algorithm", "environment"),
    [
        ("ppo", "CartPole-v1"),
        ("ppo", "Pendulum-v1"),
        ("a2c", "CartPole-v1"),
        ("a2c", "Pendulum-v1"),
        ("td3", "Pendulum-v1"),
        ("sac", "Pendulum-v1"),
        ("dqn", "CartPole-v1"),
    ],
)
def test_single_and_batched_observations_are_told_apart(algorithm: str, environment: str) -> None:
    env = gymnasium.make(environment)
    agent = build(env.observation_space, env.action_space, algorithm)
    policy = freezing.freeze(agent.policy(), FACTS)
    observation, _ = env.reset(seed=0)
    action, state = policy.predict(observation, deterministic=True)
    assert state is None
    assert action.shape == env.action_space.shape
    assert env.action_space.contains(action)
    many = DummyVecEnv([lambda: gymnasium.make(environment)] * 2).reset()
    assert policy.predict(many)[0].shape == (2, *env.action_space.shape)
    assert policy.predict(many[:1])[0].shape == (1, *env.action_space.shape)


def test_a_discrete_observation_is_single_and_a_row_of_them_a_batch() -> None:
    policy = frozen("discrete")
    for one in (2, np.int64(2), np.array(2)):
        assert policy.predict(one)[0].shape == (2,)
    assert policy.predict(np.array([2]))[0].shape == (1, 2)
    assert policy.predict(np.array([0, 1, 2]))[0].shape == (3, 2)


def test_the_order_of_a_dicts_keys_does_not_matter() -> None:
    policy = frozen("dict")
    a, b = np.array([0.5, -0.5], np.float32), 2
    expected = policy.act({"a": a, "b": b})[0]
    for one in ({"b": b, "a": a}, {"a": a, "b": b}):
        np.testing.assert_array_equal(policy.act(one)[0], expected)
        np.testing.assert_array_equal(policy.predict(one)[0], expected)
    batch = {"b": np.array([b, b]), "a": np.array([a, a])}
    for actions in (policy.predict(batch)[0], policy.act_batch(batch)[0]):
        np.testing.assert_allclose(actions, [expected, expected], atol=1e-6)


@pytest.mark.parametrize("name", UNMASKED)
def test_a_sampled_action_is_refused_with_the_reason(name: str) -> None:
    policy = frozen(name)
    with pytest.raises(BadInput, match="keeps only the deterministic action"):
        policy.predict(row(drawn(policy, 1), 0), deterministic=False)


def called(policy: FrozenPolicy, method: str, batch: Any, state: Any) -> Any:
    if method == "act":
        return policy.act(row(batch, 0), state)
    return getattr(policy, method)(batch, state)


@pytest.mark.parametrize("name", UNMASKED)
@pytest.mark.parametrize("method", ["act", "act_batch", "predict"])
def test_observations_and_states_are_not_modified(name: str, method: str) -> None:
    policy = frozen(name)
    batch, given = drawn(policy, 1), policy.reset()
    _, given = policy.act(row(batch, 0), given)
    kept_batch, kept = copy.deepcopy(batch), copy.deepcopy(given)
    called(policy, method, batch, given)
    np.testing.assert_equal(batch, kept_batch)
    np.testing.assert_equal(given, kept)


@pytest.mark.parametrize("name", UNMASKED)
@pytest.mark.parametrize("method", ["act", "act_batch", "predict"])
def test_a_later_decision_does_not_change_what_an_earlier_one_returned(
    name: str, method: str
) -> None:
    policy = frozen(name)
    first = called(policy, method, drawn(policy, 1, seed=1), policy.reset())
    kept = copy.deepcopy(first)
    second = called(policy, method, drawn(policy, 1, seed=2), first[1] or ())
    np.testing.assert_equal(first, kept)
    assert not np.array_equal(second[0], first[0])
    assert not np.shares_memory(second[0], first[0])


@pytest.mark.parametrize("name", UNMASKED)
def test_a_returned_action_may_be_overwritten(name: str) -> None:
    policy = frozen(name)
    one = row(drawn(policy, 1), 0)
    action, _ = policy.act(one, policy.reset())
    expected = action.copy()
    action[...] = 0
    np.testing.assert_array_equal(policy.act(one, policy.reset())[0], expected)


@pytest.mark.parametrize("name", ["vector", "squashed", "discrete", "choices", "dict"])
def test_an_action_does_not_depend_on_the_rest_of_its_batch(name: str) -> None:
    policy = frozen(name)
    batch = drawn(policy, 33)
    whole, _ = policy.act_batch(batch)
    for i in (0, 1, 16, 32):
        np.testing.assert_allclose(policy.act(row(batch, i))[0], whole[i], atol=1e-6)
    part = {k: v[8:13] for k, v in batch.items()} if isinstance(batch, dict) else batch[8:13]
    np.testing.assert_allclose(policy.act_batch(part)[0], whole[8:13], atol=1e-6)


@pytest.mark.parametrize("name", UNMASKED)
def test_the_same_observation_gives_the_same_action_every_time(name: str) -> None:
    policy = frozen(name)
    batch = drawn(policy, 5)
    first = policy.predict(batch)[0]
    for _ in range(5):
        np.testing.assert_array_equal(policy.predict(batch)[0], first)


def test_an_empty_batch_gives_no_actions() -> None:
    assert frozen("vector").predict(np.zeros((0, 3), np.float32))[0].shape == (0, 2)


def test_a_trained_agent_with_dict_observations_predicts_the_same_after_freezing() -> None:
    agent = build(PARTS, BOX, "sac", "MultiInputPolicy")
    observation = Dummy(PARTS, BOX).reset()[0]
    before, _ = agent._model.predict(observation, deterministic=True)
    policy = freezing.freeze(agent.policy(), FACTS)
    np.testing.assert_allclose(policy.predict(observation)[0], before, atol=1e-5)

"""stable-baselines3's cases of spaces: what a frozen policy takes and what it gives."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from agents.test_freezing_grid import FACTS
from agents.test_library_cases_preprocessing import build
from gymnasium import spaces as gym_spaces

from rl_lab import freezing, spaces
from rl_lab.frozen_policy import FrozenPolicy, actions_differ

SMALL: dict[str, Any] = {"policy_kwargs": {"net_arch": [12]}}
BOX32 = gym_spaces.Box(-1.0, 1.0, (2,), np.float32)
BOX64 = gym_spaces.Box(-1.0, 1.0, (2,), np.float64)
ANYTHING = gym_spaces.Box(-np.inf, np.inf, (3,), np.float32)
OBSERVATIONS = {
    "box32": BOX32,
    "box64": BOX64,
    "dict32": gym_spaces.Dict({"a": BOX32, "b": BOX32}),
    "dict64": gym_spaces.Dict({"a": BOX32, "b": BOX64}),
    "multi_discrete": gym_spaces.MultiDiscrete([4, 3]),
    "multi_binary": gym_spaces.MultiBinary(8),
    "matrix64": gym_spaces.Box(-1.0, 1.0, (3, 2), np.float64),
    "cube": gym_spaces.Box(-1.0, 1.0, (2, 3, 2), np.float32),
    "unequal": gym_spaces.Box(np.array([-1.0, 0.0]), np.array([0.5, 90.0]), dtype=np.float64),
}


def assert_fits(policy: FrozenPolicy, agent: Any, space: Any, count: int = 8) -> None:
    """Actions have the space's type and shape, lie in it, and are the library's."""
    batch = spaces.draw(policy.observation_space, count, np.random.default_rng(3))
    actions, _ = policy.act_batch(batch)
    expected, _ = agent._model.predict(batch, deterministic=True)
    assert actions_differ(space, actions, expected.astype(actions.dtype)) == ""
    assert (actions.shape, actions.dtype) == ((count, *space.shape), space.dtype)
    for i in range(count):
        one = {k: v[i] for k, v in batch.items()} if isinstance(batch, dict) else batch[i]
        for action in (actions[i], policy.act(one)[0], policy.predict(one)[0]):
            assert (action.shape, action.dtype) == (space.shape, space.dtype)
            assert space.contains(action)


@pytest.mark.parametrize("algorithm", ["sac", "td3", "ppo", "ddpg", "a2c"])
@pytest.mark.parametrize("observation", ["box32", "box64", "dict32", "dict64"])
@pytest.mark.parametrize("action", [BOX32, BOX64], ids=["float32", "float64"])
def test_actions_have_the_type_of_their_space(
    algorithm: str, observation: str, action: Any
) -> None:
    name = "MultiInputPolicy" if "dict" in observation else "MlpPolicy"
    agent = build(OBSERVATIONS[observation], action, algorithm, name, **SMALL)
    assert_fits(freezing.freeze(agent.policy(), FACTS), agent, action)


@pytest.mark.parametrize("algorithm", ["sac", "td3", "dqn"])
@pytest.mark.parametrize(
    "observation", ["multi_discrete", "multi_binary", "matrix64", "cube", "unequal"]
)
def test_observations_of_every_kind(algorithm: str, observation: str) -> None:
    action = gym_spaces.Discrete(4) if algorithm == "dqn" else BOX32
    agent = build(OBSERVATIONS[observation], action, algorithm, **SMALL)
    assert_fits(freezing.freeze(agent.policy(), FACTS), agent, action)


@pytest.mark.parametrize("algorithm", ["a2c", "ppo", "ddpg", "td3", "sac", "trpo", "tqc"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 2), (1,), (2, 1, 3)])
def test_actions_of_several_dimensions(algorithm: str, dtype: Any, shape: Any) -> None:
    action = gym_spaces.Box(-1.0, 1.0, shape, dtype)
    agent = build(BOX32, action, algorithm, **SMALL)
    assert_fits(freezing.freeze(agent.policy(), FACTS), agent, action)


@pytest.mark.parametrize(
    "action",
    [gym_spaces.Discrete(5), gym_spaces.MultiDiscrete([3, 1, 4]), gym_spaces.MultiBinary(6)],
    ids=str,
)
@pytest.mark.parametrize("algorithm", ["a2c", "ppo", "trpo"])
def test_choices_are_integers_of_their_space(algorithm: str, action: Any) -> None:
    agent = build(BOX32, action, algorithm, **SMALL)
    assert_fits(freezing.freeze(agent.policy(), FACTS), agent, action)


def test_gsde_with_actions_of_several_dimensions() -> None:
    action = gym_spaces.Box(-1.0, 1.0, (2, 2), np.float32)
    agent = build(BOX32, action, "sac", use_sde=True, **SMALL)
    assert_fits(freezing.freeze(agent.policy(), FACTS), agent, action)


@pytest.mark.parametrize("environment", ["CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0"])
def test_real_environments_take_the_actions(environment: str) -> None:
    env = gymnasium.make(environment)
    policy = freezing.freeze(build(env.observation_space, env.action_space).policy(), FACTS)
    observation, _ = env.reset(seed=0)
    for _ in range(5):
        action, _ = policy.act(observation)
        assert env.action_space.contains(action)
        observation, *_ = env.step(action)


class Subclassed(gym_spaces.Box):
    """A Box in all but name."""


def test_a_subclass_of_box_is_a_box() -> None:
    space = Subclassed(-1, 1, (2,), np.float32)
    agent = build(space, space, "sac", **SMALL)
    policy = freezing.freeze(agent.policy(), FACTS)
    assert type(policy.action_space) is gym_spaces.Box
    assert_fits(policy, agent, space)


def saturated(algorithm: str, space: Any, bias: float, **settings: Any) -> FrozenPolicy:
    """A policy whose network's outputs are all far beyond what the space allows."""
    agent = build(ANYTHING, space, algorithm, **SMALL, **settings)
    policy = agent._model.policy
    last = getattr(policy, "action_net", None) or policy.actor.mu
    last = last if isinstance(last, torch.nn.Linear) else list(last)[-2]
    with torch.no_grad():
        last.bias.fill_(bias)
    return freezing.freeze(agent.policy(), FACTS)


BOUNDS = [(-2.0, 2.0), (-0.1, 0.2), (-0.1, 1.0), (-3.0, -1.0), (0.0, 7.0), (0.3, 0.9)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "td3", "ddpg", "sac", "tqc", "crossq"])
def test_saturated_actions_stay_within_unequal_bounds(algorithm: str, dtype: Any) -> None:
    low, high = np.array(BOUNDS, dtype).T
    space = gym_spaces.Box(low, high, dtype=dtype)
    for bias, bound in ((1e3, high), (-1e3, low)):
        action, _ = saturated(algorithm, space, bias).act(np.zeros(3, np.float32))
        np.testing.assert_allclose(action, bound, atol=1e-6)
        assert space.contains(action), f"{action} beyond {bound}"


@pytest.mark.parametrize("algorithm", ["ppo", "sac", "td3", "crossq"])
def test_extreme_observations_do_not_lead_out_of_the_bounds(algorithm: str) -> None:
    space = gym_spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 7.0], np.float32))
    policy = freezing.freeze(build(ANYTHING, space, algorithm, **SMALL).policy(), FACTS)
    for size in (1e4, 1e8, 1e16, 1e30):
        for signs in ([1, 1, 1], [-1, -1, -1], [1, -1, 0], [0, 0, 1]):
            action, _ = policy.act(np.array(signs, np.float32) * np.float32(size))
            assert space.contains(action)


def test_a_squashed_zero_is_the_middle_of_the_bounds() -> None:
    space = gym_spaces.Box(np.array([0.0, -8.0], np.float32), np.array([1.0, 2.0], np.float32))
    agent = build(ANYTHING, space, "sac", **SMALL)
    with torch.no_grad():
        for parameter in agent._model.policy.parameters():
            parameter.zero_()
    action, _ = freezing.freeze(agent.policy(), FACTS).act(np.ones(3, np.float32))
    assert action.tolist() == [0.5, -3.0]


@pytest.mark.parametrize("bit", [0, 1])
def test_binary_actions_are_single_bytes(bit: int) -> None:
    space = gym_spaces.MultiBinary(4)
    action, _ = saturated("ppo", space, [-9.0, 9.0][bit]).act(np.zeros(3, np.float32))
    assert (action.dtype, action.tolist()) == (np.int8, [bit] * 4)


def test_a_bit_that_is_exactly_undecided_is_zero() -> None:
    agent = build(ANYTHING, gym_spaces.MultiBinary(3), **SMALL)
    with torch.no_grad():
        agent._model.policy.action_net.weight.zero_()
        agent._model.policy.action_net.bias.zero_()
    policy = freezing.freeze(agent.policy(), FACTS)
    assert policy.act(np.ones(3, np.float32))[0].tolist() == [0, 0, 0]


def test_equal_scores_choose_the_first_of_each_kind() -> None:
    agent = build(ANYTHING, gym_spaces.MultiDiscrete([3, 4]), **SMALL)
    with torch.no_grad():
        agent._model.policy.action_net.weight.zero_()
        agent._model.policy.action_net.bias.copy_(torch.tensor([0.0, 2, 2, 1, 0, 1, 1]))
    policy = freezing.freeze(agent.policy(), FACTS)
    assert policy.act(np.ones(3, np.float32))[0].tolist() == [1, 0]

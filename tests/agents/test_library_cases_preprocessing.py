"""stable-baselines3's cases of observation encoding, seen through a frozen policy.

The policy of these tests has no hidden layer and the identity for weights: its action is exactly
what its network sees, so every expected array below is worked out by hand.
"""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from agents.test_freezing_grid import ALGORITHMS, FACTS, Dummy, randomize, training
from gymnasium import spaces as gym_spaces
from rl_lab_agents import sb3
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from rl_lab import freezing
from rl_lab.frozen_policy import FrozenPolicy

FRAME = np.arange(24, dtype=np.uint8)
KINDS = gym_spaces.Dict(
    {
        "speed": gym_spaces.Box(-1.0, 1.0, (2,), np.float64),
        "mode": gym_spaces.Discrete(3),
        "flags": gym_spaces.MultiBinary(2),
        "gears": gym_spaces.MultiDiscrete([2, 3]),
    }
)


class Flat(BaseFeaturesExtractor):
    """Every part of a Dict, flattened and joined; the library's own puts images through a CNN."""

    def __init__(self, observation_space: gymnasium.spaces.Dict) -> None:
        width = sum(int(np.prod(s.shape)) for s in observation_space.spaces.values())
        super().__init__(observation_space, width)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat([part.flatten(1) for part in observations.values()], dim=1)


def build(
    observation: Any,
    action: Any,
    algorithm: str = "ppo",
    policy: str = "MlpPolicy",
    changes: Any = None,
    **settings: Any,
) -> sb3.Sb3Agent:
    """An untrained agent for any two spaces, with weights that are not those of initialisation."""
    path, _, keywords = ALGORITHMS[algorithm]
    agent = sb3.make(
        lambda: Dummy(observation, action),
        training(**(changes or {})),
        0,
        algorithm=path,
        **copy.deepcopy({"policy": policy, **keywords, **settings}),
    )
    randomize(agent)
    return agent


def mirror_agent(
    space: Any, width: int, policy: str = "MlpPolicy", changes: Any = None, **policy_kwargs: Any
) -> sb3.Sb3Agent:
    """An agent whose action is what its network sees, `width` numbers."""
    action = gym_spaces.Box(-1e9, 1e9, (width,), np.float32)
    kwargs = {"net_arch": [], **policy_kwargs}
    agent = build(space, action, "a2c", policy, changes, policy_kwargs=kwargs)
    with torch.no_grad():
        agent._model.policy.action_net.weight.copy_(torch.eye(width))
        agent._model.policy.action_net.bias.zero_()
    return agent


def mirror(space: Any, width: int, *arguments: Any, **keywords: Any) -> FrozenPolicy:
    """The frozen policy of `mirror_agent`."""
    return freezing.freeze(mirror_agent(space, width, *arguments, **keywords).policy(), FACTS)


def seen(policy: FrozenPolicy, observation: Any) -> list[float]:
    """What the network of a mirror sees, alone and as one of a batch of two equal ones."""
    action, _ = policy.act(observation, policy.reset())
    if isinstance(observation, dict):
        twice = {key: np.array([part, part]) for key, part in observation.items()}
    else:
        twice = np.array([observation, observation])
    for row in policy.act_batch(twice)[0]:
        np.testing.assert_array_equal(row, action)
    assert action.dtype == np.float32
    return action.tolist()


@pytest.mark.parametrize("value", range(3))
def test_discrete_becomes_one_hot(value: int) -> None:
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1]][value]
    assert seen(mirror(gym_spaces.Discrete(3), 3), value) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2, 0], [0, 0, 1, 1, 0]),
        ([0, 1], [1, 0, 0, 0, 1]),
        ([1, 1], [0, 1, 0, 0, 1]),
    ],
)
def test_multi_discrete_becomes_one_hots_side_by_side(values: Any, expected: Any) -> None:
    assert seen(mirror(gym_spaces.MultiDiscrete([3, 2]), 5), np.array(values)) == expected


def test_multi_binary_stays_as_it_is() -> None:
    assert seen(mirror(gym_spaces.MultiBinary(3), 3), np.array([1, 0, 1], np.int8)) == [1, 0, 1]


def test_a_vector_stays_as_it_is() -> None:
    numbers = np.array([1.5, 0.3, -1.8], np.float32)
    assert seen(mirror(gym_spaces.Box(-2.0, 2.0, (3,)), 3), numbers) == numbers.tolist()


def test_a_matrix_is_read_row_by_row() -> None:
    numbers = np.array([[1.5, 0.25, -1.75], [0.125, -0.5, -1.5]], np.float32)
    expected = [1.5, 0.25, -1.75, 0.125, -0.5, -1.5]
    assert seen(mirror(gym_spaces.Box(-2.0, 2.0, (2, 3)), 6), numbers) == expected


def test_float64_is_rounded_to_float32() -> None:
    space = gym_spaces.Box(-np.inf, np.inf, (2,), np.float64)
    numbers = np.array([1 / 3, 2.0**24 + 1])
    assert seen(mirror(space, 2), numbers) == [float(np.float32(1 / 3)), 2.0**24]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "float16"])
def test_numbers_of_any_type_become_floats(dtype: str) -> None:
    space = gym_spaces.Box(0, 100, (3,), np.dtype(dtype).type)
    assert seen(mirror(space, 3), np.array([0, 7, 100], dtype)) == [0, 7, 100]


def test_large_integers_are_rounded_to_float32() -> None:
    space = gym_spaces.Box(-(2**40), 2**40, (2,), np.int64)
    assert seen(mirror(space, 2), np.array([2**24 + 1, -5])) == [2**24, -5]


@pytest.mark.parametrize(
    "given", [[1, 2], (1.0, 2.0), np.array([1, 2]), np.array([1.0, 2.0]), np.array([1, 2], np.int8)]
)
def test_what_is_not_of_the_spaces_type_is_cast_to_it(given: Any) -> None:
    assert seen(mirror(gym_spaces.Box(-9.0, 9.0, (2,)), 2), given) == [1.0, 2.0]


@pytest.mark.parametrize("given", [2, np.int32(2), np.int64(2), np.array(2), np.uint8(2)])
def test_a_discrete_observation_may_be_any_integer(given: Any) -> None:
    assert seen(mirror(gym_spaces.Discrete(3), 3), given) == [0, 0, 1]


def test_a_dict_is_joined_in_the_order_of_its_space() -> None:
    policy = mirror(KINDS, 12, "MultiInputPolicy")
    observation = {
        "mode": 1,
        "speed": np.array([0.5, -0.25]),
        "gears": np.array([1, 2]),
        "flags": np.array([0, 1], np.int8),
    }
    # Gymnasium keeps keys sorted: flags, gears, mode, speed.
    order = list(policy.observation_space.spaces)
    encoded = {
        "flags": [0, 1],
        "gears": [0, 1, 0, 0, 1],
        "mode": [0, 1, 0],
        "speed": [0.5, -0.25],
    }
    assert seen(policy, observation) == [number for key in order for number in encoded[key]]


IMAGES = {
    # Channels last becomes channels first: all of channel 0, then all of channel 1.
    "last": ((3, 4, 2), [*range(0, 24, 2), *range(1, 24, 2)]),
    "first": ((2, 3, 4), list(range(24))),
    # The smallest side is taken for the channels; in the middle it is taken for channels last.
    "middle": ((3, 2, 4), [column + 4 * i for column in range(4) for i in range(6)]),
    "first_and_last": ((2, 6, 2), list(range(24))),
    "one_channel": ((4, 6, 1), list(range(24))),
}


@pytest.mark.filterwarnings("ignore:Treating image space as channels-last")
@pytest.mark.parametrize("name", IMAGES)
def test_images_are_channels_first_and_divided_by_255(name: str) -> None:
    shape, order = IMAGES[name]
    policy = mirror(gym_spaces.Box(0, 255, shape, np.uint8), 24)
    expected = [i * 10 / 255 for i in order]
    np.testing.assert_allclose(seen(policy, (FRAME * 10).reshape(shape)), expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Treating image space as channels-last")
@pytest.mark.parametrize("name", IMAGES)
def test_images_are_not_divided_where_that_is_turned_off(name: str) -> None:
    shape, order = IMAGES[name]
    policy = mirror(gym_spaces.Box(0, 255, shape, np.uint8), 24, normalize_images=False)
    assert seen(policy, FRAME.reshape(shape)) == order


def test_an_image_with_equal_sides_is_left_as_it_is() -> None:
    space = gym_spaces.Box(0, 255, (2, 2, 2), np.uint8)
    frame = np.arange(0, 80, 10, dtype=np.uint8).reshape(2, 2, 2)
    expected = np.arange(0, 80, 10) / 255
    np.testing.assert_allclose(seen(mirror(space, 8), frame), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "space",
    [
        gym_spaces.Box(0, 255, (24,), np.uint8),
        gym_spaces.Box(0, 255, (6, 4), np.uint8),
        gym_spaces.Box(0, 254, (3, 4, 2), np.uint8),
        gym_spaces.Box(1, 255, (3, 4, 2), np.uint8),
        gym_spaces.Box(0, 255, (3, 4, 2), np.int16),
        gym_spaces.Box(0, 255, (3, 4, 2), np.float32),
    ],
    ids=str,
)
def test_what_only_resembles_an_image_stays_as_it_is(space: Any) -> None:
    frame = (FRAME + 1).reshape(space.shape).astype(space.dtype)
    assert seen(mirror(space, 24), frame) == list(range(1, 25))


@pytest.mark.parametrize("divided", [True, False])
def test_only_the_images_of_a_dict_are_divided(divided: bool) -> None:
    space = gym_spaces.Dict(
        {
            "camera": gym_spaces.Box(0, 255, (3, 4, 2), np.uint8),
            "level": gym_spaces.Box(0, 255, (2,), np.uint8),
        }
    )
    keywords = {"features_extractor_class": Flat, "normalize_images": divided}
    policy = mirror(space, 26, "MultiInputPolicy", **keywords)
    found = seen(policy, {"camera": FRAME.reshape(3, 4, 2), "level": np.array([9, 255], np.uint8)})
    pixels = np.array([*range(0, 24, 2), *range(1, 24, 2)]) / (255 if divided else 1)
    np.testing.assert_allclose(found, [*pixels, 9, 255], rtol=1e-6)

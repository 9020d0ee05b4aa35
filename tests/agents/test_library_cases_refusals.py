"""stable-baselines3's cases of what cannot be learned in: refused before training, not after.

A policy that turns out to be unfreezable when training has ended has cost the training. So either
planning or building the agent refuses a space, or freezing succeeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from agents.test_freezing_grid import ALGORITHMS, FACTS, OBSERVATIONS, Dummy
from agents.test_library_cases_preprocessing import KINDS, build, mirror, seen
from gymnasium import spaces as gym_spaces

from rl_lab import environments, freezing
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import actions_differ

REFUSED = {
    "nested dict": gym_spaces.Dict({"inner": gym_spaces.Dict({"x": gym_spaces.Discrete(2)})}),
    "tuple": gym_spaces.Tuple((gym_spaces.Discrete(2), gym_spaces.Discrete(2))),
    "tuple in a dict": gym_spaces.Dict({"x": gym_spaces.Tuple((gym_spaces.Discrete(2),))}),
    "discrete from 1": gym_spaces.Discrete(3, start=1),
    "discrete from -1 in a dict": gym_spaces.Dict({"x": gym_spaces.Discrete(3, start=-1)}),
    "multi-discrete from 1": gym_spaces.MultiDiscrete([3, 2], start=[1, 0]),
    "table of choices": gym_spaces.MultiDiscrete([[3, 2], [2, 2]]),
    "table of bits": gym_spaces.MultiBinary([3, 2]),
    "text": gym_spaces.Text(5),
    "sequence": gym_spaces.Sequence(gym_spaces.Discrete(2)),
    "scalar box": gym_spaces.Box(-1.0, 1.0, ()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_space_that_cannot_be_learned_in_is_refused_before_training(name: str) -> None:
    with pytest.raises(BadInput):
        environments.space_data(Dummy(REFUSED[name], gym_spaces.Discrete(2)))


@pytest.mark.parametrize("change", [{"normalize_observation": True}, {"frame_stack": 3}])
@pytest.mark.parametrize("name", ["discrete", "dict"])
def test_preprocessing_of_what_is_no_box_is_refused_when_training_starts(
    name: str, change: Any
) -> None:
    space = {"discrete": gym_spaces.Discrete(4), "dict": KINDS}[name]
    policy = {"discrete": "MlpPolicy", "dict": "MultiInputPolicy"}[name]
    with pytest.raises(BadInput):
        build(space, gym_spaces.Discrete(2), policy=policy, changes=change)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_numbers_that_cannot_be_traced_are_refused_before_training(dtype: str) -> None:
    space = gym_spaces.Box(0, 100, (3,), np.dtype(dtype).type)
    try:
        environments.space_data(Dummy(space, gym_spaces.Discrete(2)))
    except BadInput:
        return
    assert seen(mirror(space, 3), np.array([0, 7, 100], dtype)) == [0, 7, 100]


UNUSUAL_ACTIONS = {
    "integers, clipped": ("ppo", gym_spaces.Box(0, 10, (2,), np.int32)),
    "integers, squashed": ("sac", gym_spaces.Box(0, 10, (2,), np.int32)),
    "half precision": ("sac", gym_spaces.Box(-1.0, 1.0, (2,), np.float16)),
    "a scalar": ("ppo", gym_spaces.Box(-1.0, 1.0, ())),
    "short integers": ("ppo", gym_spaces.MultiDiscrete([3, 4], dtype=np.int32)),
}


@pytest.mark.parametrize("name", UNUSUAL_ACTIONS)
def test_unusual_actions_are_refused_before_training_or_fit_their_space(name: str) -> None:
    algorithm, space = UNUSUAL_ACTIONS[name]
    try:
        environments.space_data(Dummy(OBSERVATIONS["box"], space))
        agent = build(OBSERVATIONS["box"], space, algorithm)
    except BadInput:
        return
    policy = freezing.freeze(agent.policy(), FACTS)
    observation = np.linspace(-1, 1, 5, dtype=np.float32)
    action, _ = policy.act(observation)
    assert space.contains(action)
    expected, _ = agent._model.predict(observation, deterministic=True)
    assert (
        actions_differ(policy.action_space, action[None], expected[None].astype(space.dtype)) == ""
    )


LEARNS_IN = {name: actions for name, (_, actions, _) in ALGORITHMS.items()}
ACTIONS = {
    "box": gym_spaces.Box(-1.0, 1.0, (2,)),
    "discrete": gym_spaces.Discrete(3),
    "multi_discrete": gym_spaces.MultiDiscrete([2, 3]),
    "multi_binary": gym_spaces.MultiBinary(3),
}
WRONG = [(a, kind) for a, kinds in LEARNS_IN.items() for kind in ACTIONS if kind not in kinds]


@pytest.mark.parametrize(("algorithm", "action"), WRONG)
def test_actions_that_an_algorithm_cannot_take_are_refused_when_training_starts(
    algorithm: str, action: str
) -> None:
    policy = "MlpLstmPolicy" if algorithm == "recurrent_ppo" else "MlpPolicy"
    with pytest.raises(BadInput):
        build(OBSERVATIONS["box"], ACTIONS[action], algorithm, policy)


@pytest.mark.parametrize(
    "action",
    [
        gym_spaces.MultiBinary([2, 3]),
        gym_spaces.MultiDiscrete([[2, 3], [2, 2]]),
        gym_spaces.Discrete(3, start=1),
        gym_spaces.Tuple((gym_spaces.Discrete(2), gym_spaces.Discrete(2))),
    ],
    ids=str,
)
def test_actions_of_other_kinds_are_refused_at_planning(action: Any) -> None:
    with pytest.raises(BadInput):
        environments.space_data(Dummy(OBSERVATIONS["box"], action))


@pytest.mark.parametrize("algorithm", ["ppo", "sac"])
def test_actions_without_bounds_are_refused_when_training_starts(algorithm: str) -> None:
    with pytest.raises(BadInput, match="bound"):
        build(OBSERVATIONS["box"], gym_spaces.Box(-np.inf, np.inf, (2,)), algorithm)


@pytest.mark.parametrize(
    ("observation", "policy"),
    [
        (KINDS, "MlpPolicy"),
        (KINDS, "CnnPolicy"),
        (OBSERVATIONS["box"], "CnnPolicy"),
        (OBSERVATIONS["box"], "MultiInputPolicy"),
        (gym_spaces.Box(0, 255, (12, 12, 3), np.uint8), "CnnPolicy"),
    ],
    ids=["dict_mlp", "dict_cnn", "vector_cnn", "vector_multi_input", "small_image_cnn"],
)
def test_a_policy_that_does_not_fit_the_observations_is_refused_when_training_starts(
    observation: Any, policy: str
) -> None:
    with pytest.raises(BadInput):
        build(observation, gym_spaces.Discrete(2), policy=policy)

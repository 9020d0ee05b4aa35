"""stable-baselines3's cases of stacked and normalised observations.

Every expected stack is worked out by hand and looked up in the state that a frozen policy returns.
The policies mirror their input, so that this is also shown to be what their network saw.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from agents.test_freezing_grid import FACTS
from agents.test_library_cases_preprocessing import Flat, mirror, mirror_agent, seen
from gymnasium import spaces as gym_spaces

from rl_lab import freezing
from rl_lab.frozen_policy import FrozenPolicy

DOUBLE = gym_spaces.Box(-np.inf, np.inf, (2,), np.float64)
PAIR = gym_spaces.Box(-99.0, 99.0, (2,), np.float32)
CAMERA_LAST = gym_spaces.Box(0, 255, (3, 3, 1), np.uint8)
CAMERA_FIRST = gym_spaces.Box(0, 255, (1, 3, 3), np.uint8)


def pairs(frames: int = 3) -> FrozenPolicy:
    return mirror(PAIR, 2 * frames, changes={"frame_stack": frames})


def states(policy: FrozenPolicy, observations: Any) -> list[Any]:
    """The one state array after each observation, from the beginning of an episode."""
    state, found = policy.reset(), []
    for observation in observations:
        _, state = policy.act(np.array(observation, policy.observation_space.dtype), state)
        found.append(state[0][0].tolist())
    return found


def test_a_stack_starts_as_zeros_and_its_newest_frame_is_last() -> None:
    assert states(pairs(), [[1, 2], [3, 4], [5, 6], [7, 8]]) == [
        [0, 0, 0, 0, 1, 2],
        [0, 0, 1, 2, 3, 4],
        [1, 2, 3, 4, 5, 6],
        [3, 4, 5, 6, 7, 8],
    ]


def test_the_network_sees_the_stack_that_is_returned() -> None:
    policy = pairs()
    state = policy.reset()
    for observation in ([1, 2], [3, 4], [5, 6], [7, 8]):
        action, state = policy.act(np.array(observation, np.float32), state)
        assert action.tolist() == state[0][0].tolist()


@pytest.mark.parametrize("frames", [2, 4])
def test_the_state_is_as_long_as_the_stack(frames: int) -> None:
    policy = pairs(frames)
    (state,) = policy.reset()
    assert (state.shape, state.dtype) == ((1, 2 * frames), np.float32)
    assert not state.any()
    assert policy.card.state == ({"name": "frames", "shape": [2 * frames], "dtype": "float32"},)


def test_a_stack_of_one_is_no_state() -> None:
    policy = mirror(PAIR, 2, changes={"frame_stack": 1})
    assert policy.reset() == ()
    assert policy.act(np.array([1, 2], np.float32))[1] == ()


def test_a_matrix_is_stacked_along_its_last_axis() -> None:
    policy = mirror(gym_spaces.Box(-9.0, 9.0, (2, 2)), 8, changes={"frame_stack": 2})
    assert states(policy, [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]) == [
        [[0, 0, 1, 2], [0, 0, 3, 4]],
        [[1, 2, 5, 6], [3, 4, 7, 8]],
    ]


@pytest.mark.parametrize("dtype", ["float64", "int8", "int32", "uint8"])
def test_a_stack_keeps_the_type_of_its_space(dtype: str) -> None:
    space = gym_spaces.Box(0, 9, (2,), np.dtype(dtype).type)
    policy = mirror(space, 4, changes={"frame_stack": 2})
    _, (state,) = policy.act(np.array([1, 2], dtype), policy.reset())
    assert (state.dtype, state.tolist()) == (np.dtype(dtype), [[0, 0, 1, 2]])


def images(space: Any) -> tuple[FrozenPolicy, list[Any], list[list[float]]]:
    """A mirror of two stacked images, its states after frames of 1s and 2s, and what it saw."""
    policy = mirror(space, 18, changes={"frame_stack": 2}, normalize_images=False)
    state, found, actions = policy.reset(), [], []
    for number in (1, 2):
        frame = np.full(space.shape, number, np.uint8)
        frame.flat[0] = 10 * number
        action, state = policy.act(frame, state)
        found.append(state[0][0])
        actions.append(action.tolist())
    return policy, found, actions


def test_images_with_channels_last_are_stacked_last_and_seen_channels_first() -> None:
    policy, (first, second), actions = images(CAMERA_LAST)
    assert policy.card.state[0]["shape"] == [3, 3, 2]
    corner, rest = np.array([0, 10]), np.array([0, 1])
    assert first[0, 0].tolist() == corner.tolist()
    assert all(pixel.tolist() == rest.tolist() for pixel in first.reshape(9, 2)[1:])
    assert second[0, 0].tolist() == [10, 20]
    assert all(pixel.tolist() == [1, 2] for pixel in second.reshape(9, 2)[1:])
    assert actions == [[0] * 9 + [10] + [1] * 8, [10] + [1] * 8 + [20] + [2] * 8]


def test_images_with_channels_first_are_stacked_first() -> None:
    policy, (first, second), actions = images(CAMERA_FIRST)
    assert policy.card.state[0]["shape"] == [2, 3, 3]
    assert first.ravel().tolist() == [0] * 9 + [10] + [1] * 8
    assert second.ravel().tolist() == [10] + [1] * 8 + [20] + [2] * 8
    assert actions == [first.ravel().tolist(), second.ravel().tolist()]


@pytest.mark.filterwarnings("ignore:Treating image space as channels-last")
def test_a_stack_higher_than_the_image_is_turned_as_the_library_turns_it() -> None:
    # Two frames of 2x3x4 are 4x3x4, which the library then takes for an image with channels last.
    space = gym_spaces.Box(0, 255, (2, 3, 4), np.uint8)
    policy = mirror(space, 48, changes={"frame_stack": 2}, normalize_images=False)
    frame = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    _, state = policy.act(frame, policy.reset())
    action, (stack,) = policy.act(frame, state)
    assert stack[0].ravel().tolist() == [*range(24), *range(24)]
    expected = [column + 4 * row for column in range(4) for _ in range(2) for row in range(6)]
    assert action.tolist() == expected


def test_each_key_of_a_dict_has_its_own_stack() -> None:
    space = gym_spaces.Dict({"camera": CAMERA_LAST, "speed": PAIR})
    keywords = {"features_extractor_class": Flat, "normalize_images": False}
    policy = mirror(space, 22, "MultiInputPolicy", {"frame_stack": 2}, **keywords)
    frames = [np.full((3, 3, 1), n, np.uint8) for n in (1, 2)]
    speeds = [np.array(n, np.float32) for n in ([3, 4], [5, 6])]
    first, state = policy.act({"speed": speeds[0], "camera": frames[0]}, policy.reset())
    assert [array.dtype.name for array in state] == ["uint8", "float32"]
    assert first.tolist() == [0] * 9 + [1] * 9 + [0, 0, 3, 4]
    second, (camera, speed) = policy.act({"camera": frames[1], "speed": speeds[1]}, state)
    assert camera.reshape(9, 2).tolist() == [[1, 2]] * 9
    assert speed.tolist() == [[3, 4, 5, 6]]
    assert second.tolist() == [1] * 9 + [2] * 9 + [3, 4, 5, 6]


def test_a_stack_begins_anew_where_an_episode_does() -> None:
    policy = pairs()
    batches = np.array([[[n, n + 1], [n + 50, n + 51]] for n in (1, 3, 5, 7)], np.float32)
    starts = np.array([[True, True], [False, False], [False, True], [False, False]])
    state: Any = None
    for batch, start in zip(batches, starts, strict=True):
        actions, state = policy.predict(batch, state, start)
        np.testing.assert_array_equal(actions, state[0])
    assert state[0].tolist() == [[3, 4, 5, 6, 7, 8], [0, 0, 55, 56, 57, 58]]


def test_a_stack_goes_on_where_nothing_is_said_of_episodes() -> None:
    policy = pairs(2)
    _, state = policy.predict(np.array([[1, 2]], np.float32))
    _, state = policy.predict(np.array([[3, 4]], np.float32), state)
    assert state is not None
    assert state[0].tolist() == [[1, 2, 3, 4]]


def test_a_single_observation_begins_anew_too() -> None:
    policy = pairs(2)
    _, state = policy.predict(np.array([1, 2], np.float32), episode_start=np.array([True]))
    _, gone_on = policy.predict(np.array([3, 4], np.float32), state, np.array([False]))
    _, anew = policy.predict(np.array([3, 4], np.float32), state, np.array([True]))
    assert gone_on is not None
    assert anew is not None
    assert gone_on[0].tolist() == [[1, 2, 3, 4]]
    assert anew[0].tolist() == [[0, 0, 3, 4]]


def test_batches_carry_one_stack_for_each_episode() -> None:
    policy = pairs(2)
    _, state = policy.act_batch(np.array([[1, 2], [3, 4], [5, 6]], np.float32))
    actions, state = policy.act_batch(np.array([[7, 8], [9, 10], [11, 12]], np.float32), state)
    expected = [[1, 2, 7, 8], [3, 4, 9, 10], [5, 6, 11, 12]]
    assert actions.tolist() == state[0].tolist() == expected


def normalized(space: Any, mean: Any, variance: Any, frames: int = 1) -> FrozenPolicy:
    changes = {"frame_stack": frames, "normalize_observation": True}
    agent = mirror_agent(space, 2 * frames, changes=changes)
    moments = agent._model.get_vec_normalize_env().obs_rms
    moments.mean, moments.var = np.array(mean, float), np.array(variance, float)
    return freezing.freeze(agent.policy(), FACTS)


def test_normalising_subtracts_the_mean_and_divides_by_the_deviation() -> None:
    policy = normalized(DOUBLE, [1.0, -2.0], [4.0, 0.25])
    np.testing.assert_allclose(seen(policy, np.array([3.0, -3.0])), [1.0, -2.0], rtol=1e-6)


def test_normalised_observations_are_clipped_at_ten() -> None:
    assert seen(normalized(DOUBLE, [0, 0], [1, 1]), np.array([1e6, -1e6])) == [10, -10]


def test_normalising_is_done_in_float64() -> None:
    # As float32, 1e9 and 1e9 + 3 are the same number.
    policy = normalized(DOUBLE, [1e9, -1e9], [1.0, 1.0])
    np.testing.assert_allclose(seen(policy, np.array([1e9 + 3, 2 - 1e9])), [3, 2], rtol=1e-6)


def test_frames_are_normalised_before_they_are_stacked() -> None:
    # The zeros before the first frame therefore stand for the mean, not for an observation of 0.
    policy = normalized(PAIR, [1, 2], [4, 0.25], frames=2)
    found = states(policy, [[3, 2], [1, 4]])
    np.testing.assert_allclose(found, [[0, 0, 1, 0], [1, 0, 0, 4]], rtol=1e-6)


def test_a_stack_of_integers_cuts_normalised_fractions_off() -> None:
    # As the library's stack does, which has the type of the environment's space.
    policy = normalized(gym_spaces.Box(-99, 99, (2,), np.int32), [0, 0], [4, 4], frames=2)
    assert states(policy, [[5, -5], [3, 9]]) == [[0, 0, 2, -2], [2, -2, 1, 4]]

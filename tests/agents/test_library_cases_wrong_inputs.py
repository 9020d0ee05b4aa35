"""What a frozen policy is not made for is refused, and never answered with a wrong action.

Every refusal is the one error with a message for users: it says what came and what was expected.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from agents.test_library_cases_predict import drawn, frozen

from rl_lab.errors import BadInput

WRONG = {
    "too long": np.zeros(4, np.float32),
    "too short": np.zeros(2, np.float32),
    "scalar": np.float32(1),
    "no array": None,
    "batch of matrices": np.zeros((2, 2, 3), np.float32),
    "batch too wide": np.zeros((2, 4), np.float32),
    "transposed batch": np.zeros((3, 2), np.float32),
    "with its info": (np.zeros(3, np.float32), {}),
    "with a full info": (np.zeros(3, np.float32), {"steps": 1}),
    "a dict": {"observation": np.zeros(3, np.float32)},
}


@pytest.mark.parametrize("name", ["vector", "stacked", "recurrent"])
@pytest.mark.parametrize("method", ["act", "act_batch", "predict"])
@pytest.mark.parametrize("wrong", WRONG)
def test_another_shape_is_refused(name: str, method: str, wrong: str) -> None:
    policy = frozen(name)
    keywords = {"state": policy.reset()} if method == "act" else {}
    with pytest.raises(BadInput):
        getattr(policy, method)(WRONG[wrong], **keywords)


@pytest.mark.parametrize("wrong", [np.array([2]), np.array([[2], [1]]), [2, 1], (2, {})], ids=str)
def test_what_is_no_single_discrete_observation_is_refused(wrong: Any) -> None:
    with pytest.raises(BadInput):
        frozen("discrete").act(wrong)


PART = np.zeros(2, np.float32)
WRONG_DICTS: dict[str, Any] = {
    "a key is missing": {"a": PART},
    "a part has another shape": {"a": np.zeros(3, np.float32), "b": 1},
    "no dict": np.zeros(3, np.float32),
    "with its info": ({"a": PART, "b": 1}, {}),
    "one part is a batch": {"a": np.zeros((2, 2), np.float32), "b": 1},
    "batches of two lengths": {"a": np.zeros((2, 2), np.float32), "b": np.array([0, 1, 2])},
}


@pytest.mark.parametrize("method", ["act", "act_batch", "predict"])
@pytest.mark.parametrize("wrong", WRONG_DICTS)
def test_another_dict_is_refused(method: str, wrong: str) -> None:
    with pytest.raises(BadInput):
        getattr(frozen("dict"), method)(WRONG_DICTS[wrong])


@pytest.mark.parametrize("method", ["act", "act_batch"])
def test_states_of_another_number_of_episodes_are_refused(method: str) -> None:
    for name in ("recurrent", "stacked"):
        policy = frozen(name)
        observation = drawn(policy, 3)
        _, state = policy.act_batch(observation)
        two = tuple(array[:2] for array in state)
        with pytest.raises(BadInput):
            getattr(policy, method)(observation if method == "act_batch" else observation[0], two)


def test_one_state_for_several_observations_is_refused() -> None:
    # Taken for a sequence by an LSTM, they would be remembered as one episode.
    policy = frozen("recurrent")
    with pytest.raises(BadInput):
        policy.act_batch(drawn(policy, 3), policy.reset())


@pytest.mark.parametrize("method", ["act", "act_batch", "predict"])
def test_a_missing_or_superfluous_state_array_is_refused(method: str) -> None:
    policy = frozen("recurrent")
    batch = drawn(policy, 1)
    for state in (policy.reset()[:1], (*policy.reset(), policy.reset()[0])):
        with pytest.raises(BadInput):
            getattr(policy, method)(batch[0] if method == "act" else batch, state)


def test_episode_starts_of_another_number_of_episodes_are_refused() -> None:
    policy = frozen("recurrent")
    with pytest.raises(BadInput):
        policy.predict(drawn(policy, 1), policy.reset(), np.ones(2, bool))


@pytest.mark.parametrize("width", [3, 5, 8])
@pytest.mark.parametrize("method", ["act", "act_batch", "predict"])
def test_a_mask_of_another_width_is_refused(method: str, width: int) -> None:
    policy = frozen("masked")
    batch = drawn(policy, 1)
    key = "action_mask" if method == "act" else "action_masks"
    mask = np.ones(width, bool) if method == "act" else np.ones((1, width), bool)
    with pytest.raises(BadInput):
        getattr(policy, method)(batch[0] if method == "act" else batch, **{key: mask})


@pytest.mark.parametrize("method", ["act", "act_batch", "predict"])
def test_a_missing_mask_is_refused_with_the_reason(method: str) -> None:
    policy = frozen("masked")
    batch = drawn(policy, 1)
    with pytest.raises(BadInput, match="was trained with masks"):
        getattr(policy, method)(batch[0] if method == "act" else batch)

"""stable-baselines3's cases of images: channel orders, one transposition, shared extractors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from agents.test_freezing_grid import FACTS, assert_equal
from agents.test_library_cases_preprocessing import build
from gymnasium import spaces as gym_spaces
from stable_baselines3.common.vec_env import VecTransposeImage, is_vecenv_wrapped

from rl_lab import freezing, spaces
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import FrozenPolicy

LAST = gym_spaces.Box(0, 255, (36, 40, 3), np.uint8)
FIRST = gym_spaces.Box(0, 255, (3, 36, 40), np.uint8)
GREY = gym_spaces.Box(0, 255, (40, 40, 1), np.uint8)
SMALL = {"features_extractor_kwargs": {"features_dim": 32}}
ALGORITHMS = ["a2c", "ppo", "dqn", "sac", "td3", "qrdqn", "tqc"]
CONTINUOUS = {"sac", "td3", "tqc"}


def action_of(algorithm: str) -> Any:
    return gym_spaces.Box(-1.0, 1.0, (2,)) if algorithm in CONTINUOUS else gym_spaces.Discrete(4)


def agent_on(space: Any, algorithm: str, changes: Any = None, **policy_kwargs: Any) -> Any:
    settings = {"policy_kwargs": {**SMALL, **policy_kwargs}}
    return build(space, action_of(algorithm), algorithm, "CnnPolicy", changes, **settings)


def frames(space: Any, count: int = 6) -> np.ndarray:
    return np.asarray(spaces.draw(space, count, np.random.default_rng(2)))


def assert_predicts(
    policy: FrozenPolicy, agent: Any, given: np.ndarray, library: np.ndarray
) -> None:
    expected, _ = agent._model.predict(library, deterministic=True)
    actions, _ = policy.predict(given)
    np.testing.assert_allclose(actions, expected, atol=1e-5)
    np.testing.assert_allclose(policy.act(given[0])[0], expected[0], atol=1e-5)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("share", [True, False])
def test_images_with_shared_and_separate_extractors(algorithm: str, share: bool) -> None:
    shared = {} if algorithm in ("dqn", "qrdqn") else {"share_features_extractor": share}
    assert_equal(agent_on(GREY, algorithm, **shared), count=4)


@pytest.mark.parametrize("algorithm", ["a2c", "dqn", "sac"])
def test_an_image_is_transposed_once(algorithm: str) -> None:
    agent = agent_on(LAST, algorithm)
    assert is_vecenv_wrapped(agent._model.get_env(), VecTransposeImage)
    policy, pictures = freezing.freeze(agent.policy(), FACTS), frames(LAST)
    # The library takes both orders; the frozen policy only what the environment gives.
    assert_predicts(policy, agent, pictures, pictures)
    assert_predicts(policy, agent, pictures, pictures.transpose(0, 3, 1, 2))
    assert policy.observation_space == LAST
    with pytest.raises(BadInput, match="raw observation"):
        policy.act(pictures[0].transpose(2, 0, 1))
    with pytest.raises(BadInput, match="raw observation"):
        policy.act_batch(pictures.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("algorithm", ["a2c", "dqn", "sac"])
def test_an_image_with_channels_first_is_not_transposed(algorithm: str) -> None:
    agent = agent_on(FIRST, algorithm)
    assert not is_vecenv_wrapped(agent._model.get_env(), VecTransposeImage)
    policy, pictures = freezing.freeze(agent.policy(), FACTS), frames(FIRST)
    assert_predicts(policy, agent, pictures, pictures)
    with pytest.raises(BadInput, match="raw observation"):
        policy.act(pictures[0].transpose(1, 2, 0))


@pytest.mark.parametrize("policy", ["CnnPolicy", "MlpPolicy"])
def test_both_channel_orders_act_alike_with_the_same_weights(policy: str) -> None:
    keywords = {"policy": policy, "policy_kwargs": SMALL if policy == "CnnPolicy" else {}}
    last, first = (build(s, gym_spaces.Discrete(4), "a2c", **keywords) for s in (LAST, FIRST))
    first._model.policy.load_state_dict(last._model.policy.state_dict())
    one, two = (freezing.freeze(agent.policy(), FACTS) for agent in (last, first))
    pictures = frames(LAST, 16)
    actions = one.act_batch(pictures)[0]
    np.testing.assert_array_equal(two.act_batch(pictures.transpose(0, 3, 1, 2))[0], actions)


@pytest.mark.parametrize("algorithm", ["ppo", "dqn", "td3"])
@pytest.mark.parametrize("space", [LAST, FIRST], ids=["last", "first"])
def test_a_network_without_convolutions_takes_images_too(algorithm: str, space: Any) -> None:
    agent = build(space, action_of(algorithm), algorithm, policy_kwargs={"net_arch": [16]})
    assert_equal(agent, count=4)


@pytest.mark.parametrize("space", [LAST, FIRST], ids=["last", "first"])
@pytest.mark.parametrize("algorithm", ["ppo", "sac"])
def test_stacked_images_act_as_the_library_does(algorithm: str, space: Any) -> None:
    policy = assert_equal(agent_on(space, algorithm, {"frame_stack": 4}), steps=6, count=3)
    channels_at = space.shape.index(3)
    assert policy.card.state[0]["shape"][channels_at] == 12
    assert policy.observation_space == space


@pytest.mark.parametrize("divided", [True, False])
@pytest.mark.parametrize("algorithm", ["a2c", "ppo", "dqn", "sac", "td3"])
def test_normalised_images_need_normalize_images_off(algorithm: str, divided: bool) -> None:
    space = gym_spaces.Box(0, 255, (1, 36, 36), np.uint8)
    changes = {"normalize_observation": True}
    if divided:
        with pytest.raises(BadInput, match="NatureCNN"):
            agent_on(space, algorithm, changes, normalize_images=True)
    else:
        assert_equal(agent_on(space, algorithm, changes, normalize_images=False), count=4)


@pytest.mark.parametrize("algorithm", ["a2c", "ppo", "dqn", "sac"])
def test_images_of_floats_are_taken_as_they_are(algorithm: str) -> None:
    space = gym_spaces.Box(0.0, 1.0, (3, 36, 36), np.float32)
    assert_equal(agent_on(space, algorithm, normalize_images=False), count=4)


@pytest.mark.parametrize("part", ["pi_features_extractor", "vf_features_extractor"])
def test_only_the_actors_own_extractor_is_frozen(part: str) -> None:
    agent = build(
        GREY,
        gym_spaces.Box(-1.0, 1.0, (3,)),
        "ppo",
        "CnnPolicy",
        policy_kwargs={**SMALL, "share_features_extractor": False},
    )
    pictures = frames(GREY)
    before = freezing.freeze(agent.policy(), FACTS)
    with torch.no_grad():
        for parameter in getattr(agent._model.policy, part).parameters():
            parameter.mul_(1.5)
    after = freezing.freeze(agent.policy(), FACTS)
    same = np.array_equal(before.act_batch(pictures)[0], after.act_batch(pictures)[0])
    assert same == (part == "vf_features_extractor")
    assert before.card.parameters == after.card.parameters


def test_neither_critics_nor_targets_are_frozen() -> None:
    agent = agent_on(GREY, "td3", share_features_extractor=False)
    policy = freezing.freeze(agent.policy(), FACTS)
    actor = sum(p.numel() for p in agent._model.actor.parameters())
    # Besides the actor: four numbers for each of the two actions, its bounds and its scale.
    assert 0 <= policy.card.parameters - actor <= 8 + 4


def test_different_images_have_different_actions() -> None:
    # Otherwise the tests above would compare constants.
    actions, _ = freezing.freeze(agent_on(LAST, "sac").policy(), FACTS).act_batch(frames(LAST))
    assert len(np.unique(actions.round(4), axis=0)) == 6

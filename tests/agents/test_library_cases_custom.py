"""Networks of a user's own: they freeze by tracing, act as in eval mode, or are refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from agents.test_freezing_grid import ALGORITHMS, FACTS, Dummy, assert_equal, training
from agents.test_library_cases_freezing import KEPT, act
from agents.test_library_cases_preprocessing import build
from gymnasium import spaces as gym_spaces
from rl_lab_agents import sb3
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from rl_lab import freezing, frozen_policy
from rl_lab.errors import Failed

VECTOR = gym_spaces.Box(-2.0, 2.0, (4,), np.float32)
CAMERA = gym_spaces.Box(0, 255, (12, 14, 3), np.uint8)


class Extractor(BaseFeaturesExtractor):
    """A layer or a function of a user's own in front of the network."""

    def __init__(self, observation_space: Any, make: Any, width: int = 4) -> None:
        super().__init__(observation_space, width)
        self.layers = make()

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.layers(observations)


class Function(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.function(observations)


def agent_with(
    make: Any, algorithm: str = "ppo", space: Any = VECTOR, width: int = 4
) -> sb3.Sb3Agent:
    action = gym_spaces.Discrete(3) if algorithm == "dqn" else gym_spaces.Box(-1.0, 1.0, (2,))
    extractor = {"make": make, "width": width}
    settings = {"features_extractor_class": Extractor, "features_extractor_kwargs": extractor}
    return build(space, action, algorithm, policy_kwargs={"net_arch": [16], **settings})


def noisy() -> nn.Module:
    return nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5))


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "td3", "sac", "dqn"])
def test_dropout_and_batch_norm_act_as_in_eval_mode(algorithm: str) -> None:
    agent = agent_with(noisy, algorithm)
    agent._model.policy.set_training_mode(True)
    policy = assert_equal(agent)
    first = act(policy)
    agent._model.policy.set_training_mode(True)
    np.testing.assert_array_equal(act(freezing.freeze(agent.policy(), FACTS)), first)


@pytest.mark.parametrize("algorithm", ["ppo", "td3", "sac", "dqn"])
def test_freezing_leaves_batch_norm_statistics_alone(algorithm: str) -> None:
    agent = agent_with(noisy, algorithm)
    before = copy.deepcopy(agent._model.policy.state_dict())
    agent._model.policy.set_training_mode(True)
    freezing.freeze(agent.policy(), FACTS)
    for name, tensor in agent._model.policy.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_batch_norm_uses_the_running_statistics_of_training() -> None:
    agent = agent_with(noisy)
    layer = agent._model.policy.pi_features_extractor.layers[0]
    before = act(freezing.freeze(agent.policy(), FACTS))
    with torch.no_grad():
        layer.running_mean.add_(1.0)
    assert not np.allclose(act(freezing.freeze(agent.policy(), FACTS)), before)


LAYERS: dict[str, Any] = {
    "batch norm": noisy,
    "layer norm": lambda: nn.LayerNorm(4),
    "softplus": nn.Softplus,
    "mish": nn.Mish,
    "fourier": lambda: Function(lambda x: torch.sin(3 * x) + torch.cos(x)),
    "absolute": lambda: Function(torch.abs),
    "where": lambda: Function(lambda x: torch.where(x > 0, x, -2 * x)),
    "largest": lambda: Function(lambda x: x - x.max(dim=1, keepdim=True).values),
    "total": lambda: Function(lambda x: x - x.sum(dim=1, keepdim=True)),
    "unit length": lambda: Function(lambda x: x / (1 + x.norm(dim=1, keepdim=True))),
    "attention": lambda: Function(lambda x: torch.softmax(x[:, :, None] * x[:, None], 2).sum(2)),
}
CAMERA_LAYERS: dict[str, Any] = {
    "pooling": lambda: nn.MaxPool2d(2),
    "mean pooling": lambda: nn.AdaptiveAvgPool2d(1),
    "batch norm": lambda: nn.BatchNorm2d(4),
    "padding": lambda: nn.ZeroPad2d(1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_a_users_own_acts_as_in_the_library(name: str) -> None:
    assert_equal(agent_with(LAYERS[name]))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_a_users_own_can_be_saved_and_loaded(tmp_path: Path, name: str) -> None:
    policy = freezing.freeze(agent_with(LAYERS[name]).policy(), KEPT)
    frozen_policy.save(policy, tmp_path / "policy")
    loaded = frozen_policy.load_policy(tmp_path / "policy")
    np.testing.assert_array_equal(act(loaded), act(policy))


def camera_network(name: str) -> Any:
    def make() -> nn.Module:
        body = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), CAMERA_LAYERS[name](), nn.Flatten()]
        width = nn.Sequential(*body)(torch.zeros(1, 3, 12, 14)).shape[1]
        return nn.Sequential(*body, nn.Linear(width, 8))

    return make


@pytest.mark.parametrize("name", CAMERA_LAYERS)
def test_a_camera_network_of_a_users_own_can_be_saved_and_loaded(tmp_path: Path, name: str) -> None:
    agent = agent_with(camera_network(name), space=CAMERA, width=8)
    policy = assert_equal(agent, count=4)
    frozen_policy.save(freezing.freeze(agent.policy(), KEPT), tmp_path / "policy")
    loaded = frozen_policy.load_policy(tmp_path / "policy")
    np.testing.assert_array_equal(act(loaded), act(policy))


@pytest.mark.parametrize("name", ["tanh", "relu", "elu", "gelu", "leaky_relu", "silu"])
def test_every_activation_that_can_be_configured_can_be_saved_and_loaded(
    tmp_path: Path, name: str
) -> None:
    agent = build(VECTOR, gym_spaces.Discrete(3), policy_kwargs={"activation_fn": name})
    policy = freezing.freeze(agent.policy(), KEPT)
    frozen_policy.save(policy, tmp_path / "policy")
    np.testing.assert_array_equal(act(frozen_policy.load_policy(tmp_path / "policy")), act(policy))


class TwoTowers(ActorCriticPolicy):
    """Acts by a network of its own; the library's is left for the values."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.left, self.right = nn.Linear(4, 3), nn.Linear(4, 3)

    def _predict(self, observation: Any, deterministic: bool = False) -> torch.Tensor:
        features = observation.float()
        return (torch.tanh(self.left(features)) * self.right(features)).argmax(dim=1)


class Gated(ActorCriticPolicy):
    """Keeps the library's network and doubles the mean action where it is small."""

    def _predict(self, observation: Any, deterministic: bool = False) -> torch.Tensor:
        action = super()._predict(observation, deterministic)
        return torch.where(action.abs() < 0.2, 2 * action, action)


@pytest.mark.parametrize(
    ("kind", "action"),
    [(TwoTowers, gym_spaces.Discrete(3)), (Gated, gym_spaces.Box(-1.0, 1.0, (2,)))],
)
def test_a_policy_class_of_a_users_own_acts_as_in_the_library(
    tmp_path: Path, kind: Any, action: Any
) -> None:
    agent = build(VECTOR, action, policy=f"{kind.__module__}.{kind.__name__}")
    assert type(agent._model.policy).__name__ == kind.__name__
    policy = assert_equal(agent)
    assert policy.card.provenance["policy_class"] == kind.__name__
    frozen_policy.save(freezing.freeze(agent.policy(), KEPT), tmp_path / "policy")
    loaded = frozen_policy.load_policy(tmp_path / "policy")
    np.testing.assert_array_equal(act(loaded), act(policy))


def branching(x: torch.Tensor) -> torch.Tensor:
    return x if float(x[0, 0]) > 0 else -2 * x


BRANCHES: dict[str, Any] = {
    "on one observation's value": branching,
    "on the whole batch": lambda x: x if x.sum() > 0 else -2 * x,
    "on each row": lambda x: torch.stack([r if float(r[0]) > 0 else -2 * r for r in x]),
    "a number taken out": lambda x: x * float(x.mean()),
    "numpy on the way": lambda x: x * torch.from_numpy(np.sign(x.numpy())),
    "random numbers": lambda x: x + torch.randn_like(x),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BRANCHES)
def test_a_branch_on_values_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    agent = agent_with(lambda: Function(BRANCHES[name]))
    with pytest.raises(Failed, match=r"branch|traced") as failure:
        frozen_policy.save(freezing.freeze(agent.policy(), KEPT), tmp_path / "policy")
    assert failure.value.do
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_building_an_agent_does_not_change_the_settings_given(algorithm: str) -> None:
    # The library notes in the extractor's own keywords that its images are not divided.
    space = gym_spaces.Box(0, 255, (3, 36, 36), np.uint8)
    keywords = {"features_dim": 8}
    settings = {"features_extractor_kwargs": keywords, "normalize_images": False}
    sb3.make(
        lambda: Dummy(space, gym_spaces.Discrete(3)),
        training(),
        0,
        algorithm=ALGORITHMS[algorithm][0],
        policy="CnnPolicy",
        policy_kwargs=settings,
        **ALGORITHMS[algorithm][2],
    )
    assert settings == {"features_extractor_kwargs": keywords, "normalize_images": False}
    assert keywords == {"features_dim": 8}

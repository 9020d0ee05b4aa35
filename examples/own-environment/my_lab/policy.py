"""A policy class and a features extractor for stable-baselines3."""

from __future__ import annotations

from typing import Any

import gymnasium
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor


class Waves(BaseFeaturesExtractor):
    """The observation, its sine and its cosine.

    Args:
        observation_space: With the shape `[n]`.
        frequency: Of the waves.
    """

    def __init__(self, observation_space: gymnasium.spaces.Box, frequency: float = 1.0) -> None:
        super().__init__(observation_space, 3 * observation_space.shape[0])
        self.frequency = frequency

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Features `[N, 3 n]` of a batch `[N, n]`."""
        waves = self.frequency * observations
        return torch.cat([observations, torch.sin(waves), torch.cos(waves)], dim=1)


class NarrowPolicy(ActorCriticPolicy):
    """An actor-critic policy whose networks are narrow unless told otherwise."""

    def __init__(self, *args: Any, net_arch: Any = (16,), **keywords: Any) -> None:
        super().__init__(*args, net_arch=list(net_arch), **keywords)

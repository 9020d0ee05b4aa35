"""The whole path from raw observation to action as one torch module, ready to be traced."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

from rl_lab.agent import StateSpec


class Normalizer(torch.nn.Module):
    """VecNormalize's observation path: float64 arithmetic, then float32.

    Args:
        source: The statistics to copy.
    """

    def __init__(self, source: VecNormalize) -> None:
        super().__init__()
        statistics: Any = source.obs_rms
        deviation = np.sqrt(statistics.var + source.epsilon)
        self.register_buffer("mean", torch.from_numpy(np.array(statistics.mean, np.float64)))
        self.register_buffer("deviation", torch.from_numpy(np.array(deviation, np.float64)))
        self.limit = float(source.clip_obs)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Normalise a batch `[N, ...]`."""
        scaled = (observation.double() - self.mean) / self.deviation
        return scaled.clamp(-self.limit, self.limit).float()


class ActingPath(torch.nn.Module):
    """Raw observation -> normalise -> stack -> policy -> action as the environment takes it.

    Args:
        policy: The trained policy.
        normalizer: Statistics used in training, or None.
        frames: Observations the policy sees at once; more than 1 makes them a state.
        action_space: Of the environment.
    """

    def __init__(
        self,
        policy: BasePolicy,
        normalizer: VecNormalize | None,
        frames: int,
        action_space: gymnasium.Space[Any],
    ) -> None:
        super().__init__()
        self.policy = policy
        normalizes = normalizer is not None and normalizer.norm_obs
        self.normalizer = Normalizer(normalizer) if normalizer and normalizes else None
        self.frames = frames
        self.squashes = bool(policy.squash_output)
        self.is_box = isinstance(action_space, gymnasium.spaces.Box)
        if isinstance(action_space, gymnasium.spaces.Box):
            self.register_buffer("low", torch.from_numpy(action_space.low.copy()))
            self.register_buffer("high", torch.from_numpy(action_space.high.copy()))

    def forward(self, observation: torch.Tensor, *state: torch.Tensor) -> Any:
        """Act on a batch; with stacked frames also give the next stack."""
        if self.normalizer is not None:
            observation = self.normalizer(observation)
        if self.frames > 1:
            width = observation.shape[-1]
            observation = torch.cat([state[0][..., width:], observation], dim=-1)
        action = self._to_space(self.policy._predict(observation, deterministic=True))
        return (action, observation) if self.frames > 1 else action

    def _to_space(self, action: torch.Tensor) -> torch.Tensor:
        """What `BasePolicy.predict` does in NumPy after the network."""
        if not self.is_box:
            return action.long()
        action = action.reshape(-1, *self.low.shape)
        if self.squashes:
            return self.low + 0.5 * (action + 1.0) * (self.high - self.low)
        return action.clamp(self.low, self.high)


def stacked_state(stack: VecFrameStack | None) -> tuple[StateSpec, ...]:
    """The state that frame stacking needs; `()` without it."""
    if stack is None:
        return ()
    space = stack.observation_space
    assert space.shape is not None
    return (StateSpec("frames", tuple(space.shape), np.dtype(space.dtype).name),)

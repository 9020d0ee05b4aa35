"""The whole path from raw observation to action as one torch module, ready to be traced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.distributions import (
    DiagGaussianDistribution,
    SquashedDiagGaussianDistribution,
)
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from rl_lab.agent import StateSpec
from rl_lab_agents.preprocessing import Part

_LIBRARIES = ("stable_baselines3.", "sb3_contrib.")


class ActingPath(torch.nn.Module):
    """Raw observation -> preprocessing -> policy -> action as the environment takes it.

    Inputs: the observation's parts, the stacked frames of those parts that have some, the two
    states of a recurrent policy, the action mask. Outputs: the action, then the next states.

    Args:
        policy: The trained policy.
        parts: Preprocessing by key; the key None stands for an observation that is no Dict.
        action_space: Of the environment.
        recurrent: Whether the policy has an LSTM.
        masked: Whether it takes action masks.
    """

    low: torch.Tensor
    high: torch.Tensor
    half_range: torch.Tensor
    centre: torch.Tensor

    def __init__(
        self,
        policy: BasePolicy,
        parts: Mapping[str | None, Part],
        action_space: gymnasium.Space[Any],
        recurrent: bool,
        masked: bool,
    ) -> None:
        super().__init__()
        self.policy = policy
        self.keys = list(parts)
        self.parts = torch.nn.ModuleList(parts.values())
        self.recurrent, self.masked = recurrent, masked
        self.squashes = bool(policy.squash_output)
        self.box = isinstance(action_space, gymnasium.spaces.Box)
        self.binary = isinstance(action_space, gymnasium.spaces.MultiBinary)
        if isinstance(action_space, gymnasium.spaces.Box):
            half, centre = _half_and_centre(action_space.low, action_space.high)
            bounds = {"low": action_space.low.copy(), "high": action_space.high.copy()}
            for name, array in {**bounds, "half_range": half, "centre": centre}.items():
                self.register_buffer(name, torch.from_numpy(array))

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Act on a batch."""
        queue = list(inputs)
        raw = [queue.pop(0) for _ in self.parts]
        seen, following = [], []
        for part, whole in zip(self.parts, raw, strict=True):
            assert isinstance(part, Part)
            ready, stacked = part(whole, queue.pop(0) if part.frames else None)
            seen.append(ready)
            following += [] if stacked is None else [stacked]
        observation: Any = (
            seen[0] if self.keys == [None] else dict(zip(self.keys, seen, strict=True))
        )
        if self.recurrent:
            action, memory = self._recur(observation, queue.pop(0), queue.pop(0))
            following += memory
        elif self.masked:
            masks: Any = queue.pop(0)
            action = self.policy._predict(observation, True, masks)  # type: ignore[call-arg]
        else:
            action = _deterministic(self.policy, observation)
        action = self._to_space(action)
        return (action, *following) if following else action

    def _recur(
        self, observation: Any, hidden: torch.Tensor, cell: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """One step of the LSTM; our states have the batch axis first, torch's the layer axis."""
        policy: Any = self.policy
        states = (hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous())
        # An episode starts by resetting the state outside; inside, it always goes on.
        starts = torch.zeros_like(hidden[:, 0, 0])
        action, memory = policy._predict(observation, states, starts, deterministic=True)
        return action, [state.transpose(0, 1) for state in memory]

    def _to_space(self, action: torch.Tensor) -> torch.Tensor:
        """What `BasePolicy.predict` does in NumPy after the network."""
        if not self.box:
            return action.to(torch.int8) if self.binary else action.long()
        action = action.reshape(-1, *self.low.shape)
        if self.squashes:
            # The library's low + (action + 1) / 2 * (high - low), in half of the operations.
            return action.to(self.low.dtype) * self.half_range + self.centre
        return action.to(self.low.dtype).clamp(self.low, self.high)


def _half_and_centre(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half the width and the middle of a range, rounded so that both ends stay inside it."""
    wide_low, wide_high = low.astype(np.float64), high.astype(np.float64)
    centre = (wide_low / 2 + wide_high / 2).astype(low.dtype)
    half = (wide_high / 2 - wide_low / 2).astype(low.dtype)
    for _ in range(4):
        outside = (centre + half > high) | (centre - half < low)
        half = np.where(outside, np.nextafter(half, np.zeros_like(half)), half)
    return half, centre


def _deterministic(policy: Any, observation: Any) -> Any:
    """The policy's deterministic action before it is brought into the space.

    The libraries build a whole distribution to ask for its mode. Where policy and distribution
    are their own Gaussian ones, the mode is the mean (or its tanh), which the network gives
    directly; everything else takes the general way.
    """
    actor = getattr(policy, "actor", policy)
    distribution = type(getattr(actor, "action_dist", None))
    if not all(type(part).__module__.startswith(_LIBRARIES) for part in (policy, actor)):
        return policy._predict(observation, deterministic=True)
    if distribution is SquashedDiagGaussianDistribution:
        return torch.tanh(actor.get_action_dist_params(observation)[0])
    if distribution is DiagGaussianDistribution and isinstance(policy, ActorCriticPolicy):
        features = super(ActorCriticPolicy, policy).extract_features(
            observation, policy.pi_features_extractor
        )
        return policy.action_net(policy.mlp_extractor.forward_actor(features))
    return policy._predict(observation, deterministic=True)


def states(policy: BasePolicy, parts: Mapping[str | None, Part]) -> tuple[StateSpec, ...]:
    """What the path carries from a decision to the next."""
    specs = [
        StateSpec(
            "frames" if key is None else f"frames.{key}", part.frames.shape, part.frames.dtype
        )
        for key, part in parts.items()
        if part.frames is not None
    ]
    lstm = getattr(policy, "lstm_actor", None)
    if lstm is not None:
        shape = (int(lstm.num_layers), int(lstm.hidden_size))
        specs += [
            StateSpec("lstm_hidden", shape, "float32"),
            StateSpec("lstm_cell", shape, "float32"),
        ]
    return tuple(specs)

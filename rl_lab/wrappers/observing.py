"""Wrappers between the environment and what the policy sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import ResizeObservation

from rl_lab.wrappers.acting import box
from rl_lab.wrappers.noise import Noise, positive


class MaskObservation(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Shows zero in place of some entries, velocities for example.

    Args:
        env: With observations `[n]`.
        indices: The entries that are hidden.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], indices: Sequence[int]) -> None:
        super().__init__(env)
        space = box(env.observation_space, "masked observations")
        if len(space.shape) != 1:
            raise TypeError(f"masked observations need the shape [n], not {list(space.shape)}")
        if not indices or not all(0 <= i < space.shape[0] for i in indices):
            raise ValueError(f"indices={list(indices)} are not among 0 to {space.shape[0] - 1}")
        self._indices = list(indices)
        low, high = space.low.copy(), space.high.copy()
        low[self._indices] = np.minimum(low[self._indices], 0)
        high[self._indices] = np.maximum(high[self._indices], 0)
        self.observation_space = Box(low, high, dtype=space.dtype.type)

    def observation(self, observation: Any) -> Any:
        """Hide the entries."""
        shown = np.array(observation)
        shown[self._indices] = 0
        return shown


class ObservationNoise(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Adds Gaussian noise to each observation; the space's bounds no longer hold.

    Args:
        env: With floating Box observations.
        std: Deviation, in the units of the observation.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], std: float) -> None:
        super().__init__(env)
        space = box(env.observation_space, "noisy observations")
        if space.dtype.kind != "f":
            raise TypeError(f"noisy observations need floating numbers, not {space.dtype}")
        self._std = positive(std, "std")
        self._noise = Noise("observation noise")
        self.observation_space = Box(-np.inf, np.inf, space.shape, space.dtype.type)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset the environment, and the noise where there is a seed."""
        self._noise.reset(seed)
        observation, info = self.env.reset(seed=seed, options=options)
        return self._noisy(observation), info

    def step(self, action: Any) -> Any:
        """Step, then disturb what is seen."""
        observation, *rest = self.env.step(action)
        return self._noisy(observation), *rest

    def _noisy(self, observation: Any) -> Any:
        noisy = observation + self._std * self._noise.normal(np.shape(observation))
        return noisy.astype(np.asarray(observation).dtype)


class TimeLeft(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Appends the share of the episode that is left, from 1 at its beginning to 0 at its limit.

    Gymnasium's `TimeAwareObservation` appends the time gone by. See https://arxiv.org/abs/1712.00378.

    Args:
        env: With floating observations `[n]`, alone or as the key `observation` of a Dict space.
        steps: The episode's limit; None takes the one of the environment's registration.
        constant: Shown in place of the share, for playing beyond the limit; None shows the share.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        steps: int | None = None,
        constant: float | None = None,
    ) -> None:
        super().__init__(env)
        limit = steps or (env.spec.max_episode_steps if env.spec else None)
        if not limit:
            raise ValueError("the environment has no step limit; give steps=")
        self._limit, self._constant = limit, constant
        self._step = 0
        self.observation_space = with_part(env.observation_space, self._longer)

    @staticmethod
    def _longer(space: Box) -> Box:
        low, high = np.append(space.low, 0), np.append(space.high, 1)
        return Box(low.astype(space.dtype), high.astype(space.dtype), dtype=space.dtype.type)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset the environment and its clock."""
        self._step = 0
        observation, info = self.env.reset(seed=seed, options=options)
        return self._shown(observation), info

    def step(self, action: Any) -> Any:
        """Step, then look at the clock."""
        self._step += 1
        observation, *rest = self.env.step(action)
        return self._shown(observation), *rest

    def _shown(self, observation: Any) -> Any:
        left = 1 - self._step / self._limit if self._constant is None else self._constant
        return replaced(observation, lambda part: np.append(part, left).astype(part.dtype))


def with_part(space: gymnasium.Space[Any], change: Any) -> gymnasium.Space[Any]:
    """The space with a changed Box `[n]`: itself, or the key `observation` of a Dict space.

    Raises:
        TypeError: There is no such part.
    """
    if isinstance(space, gymnasium.spaces.Dict) and "observation" in space.spaces:
        return gymnasium.spaces.Dict(
            {**space.spaces, "observation": with_part(space.spaces["observation"], change)}
        )
    part = box(space, "this wrapper's observations")
    if len(part.shape) != 1 or part.dtype.kind != "f":
        raise TypeError(f"floating observations [n] are needed, not {space}")
    changed: Box = change(part)
    return changed


def replaced(observation: Any, change: Any) -> Any:
    """The observation with that part changed."""
    if isinstance(observation, dict):
        return {**observation, "observation": change(observation["observation"])}
    return change(observation)


class Resize(ResizeObservation):
    """Gymnasium's `ResizeObservation` for the lists of a YAML file.

    Args:
        env: With images `[height, width]` or `[height, width, channels]`.
        shape: Height and width in pixels.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], shape: Sequence[int]) -> None:
        height, width = shape
        super().__init__(env, (height, width))

"""A wrapper that remembers."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from rl_lab.wrappers.acting import box
from rl_lab.wrappers.observing import replaced, with_part


class History(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Shows the latest observations, oldest first, then the latest actions; zeros before the first.

    Args:
        env: With Box actions and floating observations `[n]`, alone or as the key `observation` of
            a Dict space.
        horizon: How many of each.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], horizon: int = 2) -> None:
        super().__init__(env)
        if horizon < 1:
            raise ValueError(f"horizon={horizon} is below 1")
        self._horizon = horizon
        self._acting = box(env.action_space, "histories of actions")
        self._observations = self._actions = np.zeros(0)
        self.observation_space = with_part(env.observation_space, self._longer)

    def _longer(self, space: Box) -> Box:
        # A zero stands for what has not happened yet, so the bounds contain it.
        parts = (space, self._acting)
        low = [np.tile(np.minimum(part.low.ravel(), 0), self._horizon) for part in parts]
        high = [np.tile(np.maximum(part.high.ravel(), 0), self._horizon) for part in parts]
        ends = [np.concatenate(end).astype(space.dtype) for end in (low, high)]
        return Box(ends[0], ends[1], dtype=space.dtype.type)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset the environment and forget."""
        observation, info = self.env.reset(seed=seed, options=options)
        seen = observation["observation"] if isinstance(observation, dict) else observation
        self._observations = np.zeros(seen.size * self._horizon, seen.dtype)
        self._actions = np.zeros(int(np.prod(self._acting.shape)) * self._horizon, seen.dtype)
        return replaced(observation, self._remember), info

    def step(self, action: Any) -> Any:
        """Step, and remember both the action and what came of it."""
        self._actions = _shifted(self._actions, np.ravel(action))
        observation, *rest = self.env.step(action)
        return replaced(observation, self._remember), *rest

    def _remember(self, seen: np.ndarray) -> np.ndarray:
        self._observations = _shifted(self._observations, seen)
        return np.concatenate([self._observations, self._actions])


def _shifted(memory: np.ndarray, latest: np.ndarray) -> np.ndarray:
    return np.concatenate([memory[latest.size :], latest.astype(memory.dtype)])

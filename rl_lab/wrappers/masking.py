"""Masks of allowed actions, where an environment tells them in passing."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np


class MasksOfInfo(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Gives the masks that an environment leaves in `info` an `action_masks()`.

    Args:
        env: One whose `info` holds a mask after each step and reset, as Taxi's does.
        key: Under which name.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], key: str = "action_mask") -> None:
        super().__init__(env)
        self._key = key
        self._mask: Any = None

    def action_masks(self) -> np.ndarray:
        """Which actions are allowed now, `[n]` of bool."""
        return np.asarray(self._mask, bool)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset, and keep the mask."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._mask = info[self._key]
        return observation, info

    def step(self, action: Any) -> Any:
        """Step, and keep the mask."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._mask = info[self._key]
        return observation, reward, terminated, truncated, info

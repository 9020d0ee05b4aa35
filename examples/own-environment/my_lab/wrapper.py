"""What the policy sees instead."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np


class Distance(gymnasium.ObservationWrapper):
    """Shows the signed distance to the door in place of both places.

    Args:
        env: A corridor.
        scale: The distance is divided by this.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], scale: float = 1.0) -> None:
        super().__init__(env)
        self._scale = scale
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)

    def observation(self, observation: Any) -> np.ndarray:
        """The distance."""
        place, door = observation
        return np.array([(door - place) / self._scale], np.float32)

"""A corridor with a door at one of its ends."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np


class Corridor(gymnasium.Env):
    """Walk to the door, which a sign tells at the start; -1 per step, 10 at the door.

    Args:
        length: Steps from the middle to either end.
        render_mode: "ansi" draws a line of text.
    """

    metadata: ClassVar = {"render_modes": ["ansi"], "render_fps": 4}
    action_space = gymnasium.spaces.Discrete(2)  # left, right

    def __init__(self, length: int = 4, render_mode: str | None = None) -> None:
        self.length, self.render_mode = length, render_mode
        self.observation_space = gymnasium.spaces.Box(-length, length, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Stand in the middle; the door is left or right."""
        super().reset(seed=seed)
        self._place = 0
        self._door = self.length if self.np_random.random() < 0.5 else -self.length
        return self._observation(), {}

    def step(self, action: Any) -> Any:
        """Walk one step."""
        self._place = int(np.clip(self._place + (1 if action else -1), -self.length, self.length))
        there = self._place == self._door
        return self._observation(), 10.0 if there else -1.0, there, False, {}

    def render(self) -> str:
        """The corridor as text."""
        cells = ["."] * (2 * self.length + 1)
        cells[self._door + self.length], cells[self._place + self.length] = "D", "@"
        return "".join(cells)

    def _observation(self) -> np.ndarray:
        return np.array([self._place, self._door], np.float32)

"""A generator per wrapper that follows the seed of `reset`."""

from __future__ import annotations

import numpy as np
from gymnasium.utils import seeding as gymnasium_seeding

from rl_lab import seeding


class Noise:
    """Draws that depend on the seed of `reset` and on the purpose, and on nothing else.

    Args:
        purpose: Keeps the draws apart from those of other wrappers and of the environment.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._generator: np.random.Generator | None = None

    def reset(self, seed: int | None) -> None:
        """Start anew from a seed; without one go on, as Gymnasium's environments do."""
        if seed is not None:
            self._generator = seeding.generator(seed, self._purpose)
        elif self._generator is None:
            self._generator, _ = gymnasium_seeding.np_random()

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """Standard normal numbers."""
        assert self._generator is not None, "reset comes first"
        return self._generator.standard_normal(shape)


def positive(value: float, name: str) -> float:
    """The value, if it is not below zero.

    Raises:
        ValueError: It is.
    """
    if not value >= 0:
        raise ValueError(f"{name}={value} is below 0")
    return value

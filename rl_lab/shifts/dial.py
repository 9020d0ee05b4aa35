"""How strong a disturbance is, and what it draws from."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

_AHEAD = 512  # numbers drawn at once; the rest of an episode's last block is thrown away


class Dial:
    """How strong a disturbance is now, and what it draws from.

    Attributes:
        value: The strength.
        draws: Its own generator; renewed at every reset with a seed.
    """

    def __init__(self, scale: Callable[[], Any]) -> None:
        self.value = 0.0
        self._measure = scale
        self.renew(np.random.default_rng(0))

    @functools.cached_property
    def scale(self) -> Any:
        """What an observation's numbers vary by, in its shape; measured when first needed."""
        return self._measure()

    def renew(self, draws: np.random.Generator) -> None:
        """Draw from another generator."""
        self.draws = draws
        self._ahead, self._taken = np.empty(0), 0

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """Normal numbers, the same as one call of the generator after another gives.

        Many are drawn at once, as a call costs more than its numbers. For a disturbance that
        always asks for one shape, and draws nothing else.
        """
        if self._taken == len(self._ahead):
            count = max(1, _AHEAD // max(1, math.prod(shape)))
            self._ahead, self._taken = self.draws.standard_normal((count, *shape)), 0
        self._taken += 1
        numbers: np.ndarray = self._ahead[self._taken - 1]
        return numbers

    def other(self, choice: Any, space: spaces.Discrete) -> Any:
        """A state or action drawn uniformly, with the dial's probability; else the one given."""
        drawn = self.draws.random() < self.value
        return np.int64(self.draws.integers(space.n)) if drawn else choice

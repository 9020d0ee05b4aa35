"""What becomes of a policy's actions: noise, a gain, delays, repetitions."""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import RepeatAction, TransformAction

from rl_lab.errors import BadInput
from rl_lab.shifts.dial import Dial

Env = gymnasium.Env[Any, Any]


def action_noise(env: Env, dial: Dial) -> Env:
    """Gaussian noise in units of half the range; where discrete, another action now and then."""
    space = env.action_space
    if not isinstance(space, spaces.Box | spaces.Discrete):
        raise BadInput(f"noise on actions of {space}", "Box or Discrete actions")

    def change(action: Any) -> Any:
        if dial.value == 0.0:
            return action
        if isinstance(space, spaces.Discrete):
            return dial.other(action, space)
        noise = dial.draws.standard_normal(space.shape)
        half = (space.high - space.low) / 2
        return _clipped(action + dial.value * half * noise, space)

    return TransformAction(env, change, None)


def action_gain(env: Env, dial: Dial) -> Env:
    """Actions come out by a factor, which is 1 where nothing is disturbed."""
    space = env.action_space
    if not isinstance(space, spaces.Box):
        raise BadInput(f"a gain on actions of {space}", "Box actions", "Use any/action_noise.")

    def change(action: Any) -> Any:
        return action if dial.value == 1.0 else _clipped(action * dial.value, space)

    return TransformAction(env, change, None)


def _clipped(action: np.ndarray, space: spaces.Box) -> np.ndarray:
    return np.asarray(np.clip(action, space.low, space.high), space.dtype)


class ActionDelay(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Actions take effect some steps later; until one has, the first of all does."""

    def __init__(self, env: Env, dial: Dial) -> None:
        super().__init__(env)
        self._dial = dial

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset; nothing is on its way."""
        self._chosen: deque[Any] = deque()
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Step with an older action."""
        self._chosen.append(copy.copy(action))
        while len(self._chosen) > self._dial.value + 1:
            self._chosen.popleft()
        return self.env.step(self._chosen[0])


class ActionRepetition(RepeatAction):
    """Gymnasium's own wrapper, with a dial: each action is taken for so many steps.

    Rewards of the steps add up, so an episode's return is still the sum over all of them.
    """

    def __init__(self, env: Env, dial: Dial) -> None:
        super().__init__(env, 1)
        self._dial = dial

    def step(self, action: Any) -> Any:
        """Step as often as the dial says."""
        self.num_repeats = int(self._dial.value)
        if self.num_repeats <= 1:
            return self.env.step(action)
        return super().step(action)

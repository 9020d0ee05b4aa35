"""What a policy sees: observations with noise, a bias, failing sensors, delays."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation

from rl_lab.errors import BadInput
from rl_lab.shifts.dial import Dial

Env = gymnasium.Env[Any, Any]


def observation_noise(env: Env, dial: Dial) -> Env:
    """Gaussian noise, its deviation in those of the observation; another state where discrete."""
    # Parts of a Dict draw in turn from one generator: there none of them can draw ahead.
    alone = isinstance(env.observation_space, spaces.Box)

    def noisy(space: spaces.Box | spaces.Discrete) -> Change:
        if isinstance(space, spaces.Discrete):
            return lambda state, scale: dial.other(state, space)
        shape, fit = space.shape, _fitting(space)
        at, deviation = 0.0, np.zeros(shape)

        def change(observation: Any, scale: Any) -> Any:
            nonlocal at, deviation
            if dial.value != at:
                at, deviation = dial.value, dial.value * scale
            noise = dial.normal(shape) if alone else dial.draws.standard_normal(shape)
            return fit(noise * deviation + observation)

        return change

    return _transformed(env, dial, noisy)


def observation_bias(env: Env, dial: Dial) -> Env:
    """Every number reads too high, by so many of its deviations."""

    def biased(space: spaces.Box | spaces.Discrete) -> Change:
        if isinstance(space, spaces.Discrete):
            raise BadInput(f"a biased sensor of {space}", "observations that are numbers (Box)")
        fit = _fitting(space)
        return lambda observation, scale: fit(observation + dial.value * scale)

    return _transformed(env, dial, biased)


# An observation and what its numbers vary by, to what is seen instead.
Change = Callable[[Any, Any], Any]
ChangeOf = Callable[[spaces.Box | spaces.Discrete], Change]


def _transformed(env: Env, dial: Dial, change_of: ChangeOf) -> Env:
    # Made once for the space: what is decided in every step costs more than the noise itself.
    change = _mapped(change_of, env.observation_space)

    def observe(observation: Any) -> Any:
        return observation if dial.value == 0.0 else change(observation, dial.scale)

    return TransformObservation(env, observe, None)


def _mapped(change_of: ChangeOf, space: spaces.Space[Any]) -> Change:
    if isinstance(space, spaces.Dict):
        parts = {key: _mapped(change_of, part) for key, part in space.spaces.items()}
        return lambda seen, scale: {k: change(seen[k], scale[k]) for k, change in parts.items()}
    if isinstance(space, spaces.Box | spaces.Discrete):
        return change_of(space)
    raise BadInput(f"a disturbed observation of {space}", "Box, Discrete, or a Dict of them")


def _fitting(space: spaces.Box) -> Callable[[np.ndarray], np.ndarray]:
    """Into the type of the space; whole numbers rounded and kept within it."""
    dtype, low, high = space.dtype, space.low, space.high
    if dtype.kind in "iu":
        return lambda values: np.clip(np.rint(values), low, high).astype(dtype)
    return lambda values: values.astype(dtype)


class ObservationFault(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Each number fails with the dial's probability per step, for some steps.

    Args:
        env: The environment.
        dial: Probability that a working sensor fails in a step.
        steps: How long it stays so.
        hold: It repeats its last value; else it reads 0.
    """

    def __init__(self, env: Env, dial: Dial, steps: int, hold: bool) -> None:
        super().__init__(env)
        if not isinstance(env.observation_space, spaces.Box):
            raise BadInput(f"a failing sensor of {env.observation_space}", "a Box of numbers")
        self._dial, self._steps, self._hold = dial, steps, hold

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset; all sensors work at first."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._left = np.zeros(np.shape(observation), np.int64)
        self._shown = np.array(observation)
        return observation, info

    def step(self, action: Any) -> Any:
        """Step, and show what the sensors that work see."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._dial.value == 0.0 and not self._left.any():
            self._shown = observation
            return observation, reward, terminated, truncated, info
        fails = self._dial.draws.random(self._left.shape) < self._dial.value
        self._left = np.maximum(self._left - 1, 0)
        self._left[(self._left == 0) & fails] = self._steps
        broken = self._shown if self._hold else np.zeros_like(observation)
        self._shown = np.where(self._left > 0, broken, observation)
        return self._shown.copy(), reward, terminated, truncated, info


def observation_dropout(env: Env, dial: Dial, steps: int) -> Env:
    """Sensors that now and then read 0 for some steps."""
    return ObservationFault(env, dial, steps, hold=False)


def observation_stuck(env: Env, dial: Dial, steps: int) -> Env:
    """Sensors that now and then repeat their last value for some steps."""
    return ObservationFault(env, dial, steps, hold=True)


class ObservationDelay(gymnasium.Wrapper[Any, Any, Any, Any]):
    """What is seen is some steps old; until there is anything that old, the first of all.

    Gymnasium's own `DelayObservation` begins with zeros, which no sensor ever shows.
    """

    def __init__(self, env: Env, dial: Dial) -> None:
        super().__init__(env)
        self._dial = dial

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset, and remember the first observation."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._seen = deque([copy.deepcopy(observation)])
        return observation, info

    def step(self, action: Any) -> Any:
        """Step, and show an older observation."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        # An environment may write its next observation into the same array.
        self._seen.append(copy.deepcopy(observation))
        while len(self._seen) > self._dial.value + 1:
            self._seen.popleft()
        return self._seen[0], reward, terminated, truncated, info

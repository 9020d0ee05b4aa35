"""Disturbances of any environment: what a policy sees, and what becomes of its actions.

Each is a function of an environment and a dial, and gives the wrapped environment; at 0 on the
dial (a gain or a repetition at 1) everything passes through untouched. They draw from the dial's
own generator, never from the environment's, which a wrapper would otherwise share. Rewards are
never altered.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import RepeatAction, TransformAction, TransformObservation

from rl_lab.errors import BadInput, closest


class Dial:
    """How strong a disturbance is now, and what it draws from.

    Attributes:
        value: The strength.
        draws: Its own generator; renewed at every reset with a seed.
        scale: What an observation's numbers vary by, in the shape of the observation.
    """

    def __init__(self, scale: Callable[[], Any]) -> None:
        self.value = 0.0
        self.draws = np.random.default_rng(0)
        self._measure = scale

    @property
    def scale(self) -> Any:
        """Measured when it is first needed."""
        if not hasattr(self, "_scale"):
            self._scale = self._measure()
        return self._scale


Env = gymnasium.Env[Any, Any]


def disturbed(env: Env, dial: Dial, settings: dict[str, Any]) -> Env:
    """The environment under the disturbance that `settings` names.

    Raises:
        BadInput: There is no such disturbance, it takes other settings, or it does not fit the
            spaces.
    """
    settings = dict(settings)
    kind = settings.pop("kind", None)
    if kind not in KINDS:
        do = closest(str(kind), KINDS)
        raise BadInput(f"disturbance.kind={kind}", f"one of {', '.join(KINDS)}", do)
    try:
        return KINDS[kind](env, dial, **settings)
    except TypeError as error:
        raise BadInput(f"disturbance {kind}: {error}", "the settings it takes") from error


# What the policy sees -------------------------------------------------------------------------


def observation_noise(env: Env, dial: Dial) -> Env:
    """Gaussian noise, its deviation in those of the observation; another state where discrete."""

    def noisy(space: spaces.Box | spaces.Discrete) -> Change:
        if isinstance(space, spaces.Discrete):
            return lambda state, scale: _other(state, space, dial)
        shape, fit = space.shape, _fitting(space)

        def change(observation: Any, scale: Any) -> Any:
            noise = dial.draws.standard_normal(shape)
            noise *= dial.value * scale
            return fit(noise + observation)

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


def _other(state: Any, space: spaces.Discrete, dial: Dial) -> Any:
    """A state (or action) drawn uniformly, with the dial's probability."""
    drawn = dial.draws.random() < dial.value
    return np.int64(dial.draws.integers(space.n)) if drawn else state


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


# What becomes of actions ----------------------------------------------------------------------


def action_noise(env: Env, dial: Dial) -> Env:
    """Gaussian noise in units of half the range; where discrete, another action now and then."""
    space = env.action_space
    if not isinstance(space, spaces.Box | spaces.Discrete):
        raise BadInput(f"noise on actions of {space}", "Box or Discrete actions")

    def change(action: Any) -> Any:
        if dial.value == 0.0:
            return action
        if isinstance(space, spaces.Discrete):
            return _other(action, space, dial)
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


KINDS: dict[str, Callable[..., Env]] = {
    "observation_noise": observation_noise,
    "observation_bias": observation_bias,
    "observation_dropout": observation_dropout,
    "observation_stuck": observation_stuck,
    "observation_delay": ObservationDelay,
    "action_noise": action_noise,
    "action_delay": ActionDelay,
    "action_repetition": ActionRepetition,
    "action_gain": action_gain,
}
# Those whose dial counts steps.
COUNTING = ("observation_delay", "action_delay", "action_repetition")

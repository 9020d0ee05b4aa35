"""Wrappers between the decision and the environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from rl_lab.wrappers.noise import Noise, positive


def box(space: gymnasium.Space[Any], what: str) -> Box:
    """The space, if it is a Box.

    Raises:
        TypeError: It is another one.
    """
    if not isinstance(space, Box):
        raise TypeError(f"{what} need a Box space, not {space}")
    return space


class ActionNoise(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Adds Gaussian noise to each action, then clips it to the space.

    Args:
        env: With Box actions.
        std: Deviation, in the units of the action.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], std: float) -> None:
        super().__init__(env)
        self._space = box(env.action_space, "noisy actions")
        self._std = positive(std, "std")
        self._noise = Noise("action noise")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset the environment, and the noise where there is a seed."""
        self._noise.reset(seed)
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Step with the disturbed action."""
        noisy = action + self._std * self._noise.normal(self._space.shape)
        clipped = np.clip(noisy, self._space.low, self._space.high)
        return self.env.step(clipped.astype(self._space.dtype))


class SmoothAction(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Acts with a moving average of the actions, which starts from zero in each episode.

    Args:
        env: With Box actions.
        keep: Share of the average so far: 0 is the action itself, near 1 is slow.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], keep: float) -> None:
        super().__init__(env)
        self._space = box(env.action_space, "smooth actions")
        if not 0 <= keep < 1:
            raise ValueError(f"keep={keep} is not in [0, 1)")
        self._keep = keep

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset the environment and the average."""
        self._average = np.zeros(self._space.shape, self._space.dtype)
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Step with the average."""
        average = self._keep * self._average + (1 - self._keep) * np.asarray(action)
        self._average = average.astype(self._space.dtype)
        return self.env.step(self._average.copy())


class FrameSkip(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Repeats each action and shows the last observation; rewards add up.

    Gymnasium's `MaxAndSkipObservation` also takes the maximum of the last two observations.

    Args:
        env: The environment.
        skip: Steps of the environment per decision.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], skip: int) -> None:
        super().__init__(env)
        if skip < 1:
            raise ValueError(f"skip={skip} is below 1")
        self._skip = skip

    def step(self, action: Any) -> Any:
        """Step until the action has been repeated often enough, or the episode ends."""
        total = 0.0
        for _ in range(self._skip):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


class FireOnReset(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Presses FIRE after a reset, for Atari games that wait for it; others stay as they are.

    Args:
        env: An Atari environment, which knows what its actions mean.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        meanings = env.get_wrapper_attr("get_action_meanings")()
        # Action 1 is FIRE in the games that need it; elsewhere it may be a direction.
        self._waits = len(meanings) >= 3 and meanings[1] == "FIRE"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset, then start the game."""
        observation, info = self.env.reset(seed=seed, options=options)
        if self._waits:
            observation, _, terminated, truncated, info = self.env.step(1)
            if terminated or truncated:
                observation, info = self.env.reset(options=options)
        return observation, info

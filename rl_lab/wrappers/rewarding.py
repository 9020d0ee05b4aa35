"""Wrappers that change when rewards are paid and when an episode ends."""

from __future__ import annotations

from typing import Any

import gymnasium


class DelayReward(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Pays the sum of the rewards every so many steps, and what is due at the episode's end.

    Args:
        env: The environment.
        steps: Steps between two payments.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], steps: int = 10) -> None:
        super().__init__(env)
        if steps < 1:
            raise ValueError(f"steps={steps} is below 1")
        self._every = steps
        self._step, self._due = 0, 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset the environment; nothing is due."""
        self._step, self._due = 0, 0.0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Step, and pay where it is time."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._step += 1
        self._due += float(reward)
        paid = 0.0
        if self._step % self._every == 0 or terminated or truncated:
            paid, self._due = self._due, 0.0
        return observation, paid, terminated, truncated, info


class TruncateOnSuccess(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Truncates an episode after steps in a row whose info says `is_success`.

    Args:
        env: An environment that says so; goal environments do.
        successes: Steps in a row.
        reward_offset: Added to every reward, also to those computed for other goals.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], successes: int = 1, reward_offset: float = 0.0
    ) -> None:
        super().__init__(env)
        if successes < 1:
            raise ValueError(f"successes={successes} is below 1")
        self._wanted, self._offset = successes, reward_offset
        self._in_a_row = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset the environment and the count."""
        self._in_a_row = 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Step, and count."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._in_a_row = self._in_a_row + 1 if info.get("is_success") else 0
        truncated = truncated or self._in_a_row >= self._wanted
        return observation, float(reward) + self._offset, terminated, truncated, info

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        """The environment's own reward for a goal, with the same offset."""
        own = self.env.get_wrapper_attr("compute_reward")
        return own(achieved_goal, desired_goal, info) + self._offset

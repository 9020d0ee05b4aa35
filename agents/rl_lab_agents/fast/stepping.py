"""Steps environments with as little around them as their promises allow.

`DummyVecEnv`, `Monitor`, `CheckedEnv`, `TimeLimit` and `OrderEnforcing` cost more than a small
environment does. Their state is kept here exactly as they would keep it, so that whoever steps the
environments next, saves them or asks them finds nothing missing.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit
from stable_baselines3.common.monitor import Monitor

from rl_lab.environments import CheckedEnv, observation_fault
from rl_lab.errors import EnvironmentFault
from rl_lab_agents.native import NativeVecEnv


@dataclasses.dataclass(frozen=True)
class Ended:
    """An episode that ended at this step.

    Attributes:
        index: Of the environment.
        observation: Its last observation.
        truncated: Whether it was cut off and did not terminate.
        info: What the environment said, with the Monitor's `episode`.
    """

    index: int
    observation: Any
    truncated: bool
    info: dict[str, Any]


def infos_of(ended: list[Ended], count: int) -> list[dict[str, Any]]:
    """What callbacks of the library look at: one mapping per environment."""
    infos: list[dict[str, Any]] = [{}] * count
    for episode in ended:
        infos[episode.index] = episode.info
    return infos


def stepper_of(env: Any) -> Stepper | AtOnce:
    """What steps a covered vectorised environment."""
    return AtOnce(env) if isinstance(env, NativeVecEnv) else Stepper(env.envs)


class AtOnce:
    """Steps an environment that steps all its copies in one call, and checks what they give.

    Args:
        env: The environment.
    """

    def __init__(self, env: NativeVecEnv) -> None:
        self._env = env

    def step(
        self, actions: Sequence[Any], observations: np.ndarray, rewards: np.ndarray
    ) -> list[Ended]:
        """One step of each environment; see `Stepper.step`."""
        observations[:], rewards[:], dones, infos = self._env.step(np.asarray(actions))
        return [_ended(i, infos[i]) for i in np.flatnonzero(dones).tolist()]

    def require_finite(self, i: int, observation: np.ndarray, reward: float) -> None:
        """The environment has refused what is not finite."""

    def settle(self) -> None:
        """No wrapper counts along."""


def _ended(i: int, info: dict[str, Any]) -> Ended:
    return Ended(i, info["terminal_observation"], info["TimeLimit.truncated"], info)


@dataclasses.dataclass(frozen=True)
class _Peeled:
    """One environment without its wrappers.

    Attributes:
        step: The innermost `step` that may be called directly.
        limit: The wrapper that cuts episodes off, or None.
        checked: The wrapper that says what is wrong.
        keep: Takes over the last transitions.
    """

    step: Callable[[Any], Any]
    limit: Any
    checked: CheckedEnv
    keep: Callable[[tuple[Any, Any, float]], None]

    @property
    def most_steps(self) -> float:
        """Of an episode."""
        return math.inf if self.limit is None else int(self.limit._max_episode_steps)


class Stepper:
    """Steps the environments of a `DummyVecEnv` one after another.

    Args:
        monitors: The environments as `DummyVecEnv` has them.
    """

    def __init__(self, monitors: Sequence[Monitor[Any, Any]]) -> None:
        self._monitors = monitors
        self._shape = monitors[0].observation_space.shape
        self._parts = [_peel(monitor) for monitor in monitors]
        # Looked up once: in the loop over environments every name costs.
        self._loop = [(p.step, p.most_steps, p.checked, p.keep) for p in self._parts]
        self._rewards = [monitor.rewards for monitor in monitors]

    def step(
        self, actions: Sequence[Any], observations: np.ndarray, rewards: np.ndarray
    ) -> list[Ended]:
        """One step of each environment; those whose episode ends are reset.

        Args:
            actions: One per environment, as it takes them.
            observations: `[environments, ...]`; receives the observations to decide on next.
            rewards: `[environments]`; receives.

        Returns:
            The episodes that ended.

        Raises:
            EnvironmentFault: An environment raised, or gave an observation of another shape.
        """
        ended = []
        at_work, clock, copy, shape = CheckedEnv.at_work, time.monotonic, np.array, self._shape
        i = 0
        try:
            for i, (step, most_steps, checked, keep) in enumerate(self._loop):
                at_work[0] = checked, clock()
                action = actions[i]
                observation, reward, terminated, truncated, info = step(action)
                observation = copy(observation)
                keep((action, observation, reward))
                if observation.shape != shape:
                    raise self._fault(i, observation_fault(self._space(i), observation), 1)
                rewards[i] = reward
                episode = self._rewards[i]
                episode.append(float(reward))
                if terminated or truncated or len(episode) >= most_steps:
                    self.require_finite(i, observation, reward)
                    ended.append(Ended(i, observation, not terminated, self._close(i, info)))
                    observation, _ = self._monitors[i].reset()
                    self._rewards[i] = self._monitors[i].rewards
                observations[i] = observation
        except EnvironmentFault:
            raise
        except Exception as error:
            self._parts[i].keep((actions[i], None, math.nan))
            raise self._fault(i, f"raised {type(error).__name__}: {error}", 1) from error
        at_work[0] = None
        return ended

    def require_finite(self, i: int, observation: np.ndarray, reward: float) -> None:
        """Refuse what environment `i` gave last if it is not finite.

        Raises:
            EnvironmentFault: A number is NaN or infinite.
        """
        if not np.isfinite(observation).all():
            raise self._fault(i, observation_fault(self._space(i), observation), 0)
        if not math.isfinite(reward):
            raise self._fault(i, f"returned the reward {reward}", 0)

    def settle(self) -> None:
        """Leave the wrappers as if every step had gone through them."""
        for monitor, part in zip(self._monitors, self._parts, strict=True):
            part.checked.note(len(monitor.rewards))
            if part.limit is not None:
                part.limit._elapsed_steps = len(monitor.rewards)

    def _space(self, i: int) -> Any:
        return self._monitors[i].observation_space

    def _fault(self, i: int, what: str, more: int) -> EnvironmentFault:
        step = len(self._monitors[i].rewards) + more
        return self._parts[i].checked.note(step).fault(what)

    def _close(self, i: int, info: dict[str, Any]) -> dict[str, Any]:
        """What `Monitor.step` does at the end of an episode."""
        monitor = self._monitors[i]
        total, length = float(sum(monitor.rewards)), len(monitor.rewards)
        seconds = time.time() - monitor.t_start
        monitor.needs_reset = True
        monitor.episode_returns.append(total)
        monitor.episode_lengths.append(length)
        monitor.episode_times.append(seconds)
        monitor.total_steps += length
        episode = {"r": round(total, 6), "l": length, "t": round(seconds, 6)}
        return {**info, "episode": episode, **monitor.current_reset_info}


def _peel(monitor: Monitor[Any, Any]) -> _Peeled:
    checked: Any = monitor.env
    env = checked.env
    limit = None
    if type(env) is TimeLimit:
        limit, env = env, env.env
    if type(env) is OrderEnforcing:
        env = env.env
    return _Peeled(env.step, limit, checked, checked.keeper())

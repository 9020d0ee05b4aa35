"""What may be wrong with an environment, and a wrapper that says so and where."""

from __future__ import annotations

import collections
import math
import time
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import gymnasium
import numpy as np

from rl_lab import spaces
from rl_lab.errors import BadInput, EnvironmentFault, Failed, Unanswered

_RECENT = 100  # transitions kept for a crash report


class Answering(Protocol):
    """What is waited for."""

    def unanswered(self, seconds: float) -> Failed:
        """The error where it has been waited for too long; it is waited for no more."""


class CheckedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Turns whatever goes wrong in an environment into one `EnvironmentFault` that says where.

    Args:
        env: The environment to watch.
    """

    # Checkpoints know classes by their full names; this one's is the package's, not the file's.
    __module__ = "rl_lab.environments"
    not_checkpointed = ("_recent",)
    # What this process waits for, and since when by the monotonic clock. In a list: to set an
    # attribute of a class makes the interpreter look all of them up anew.
    at_work: ClassVar[list[tuple[Answering, float] | None]] = [None]

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._id = env.spec.id if env.spec else type(env.unwrapped).__name__
        self._seed: int | None = None
        self._episode = self._step = 0
        self._recent: collections.deque[Any] = collections.deque(maxlen=_RECENT)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset, remembering the seed."""
        if seed is not None:
            self._seed, self._episode = seed, 0
        self._episode += 1
        self._step = 0
        CheckedEnv.at_work[0] = self, time.monotonic()
        try:
            observation, info = self.env.reset(seed=seed, options=options)
        except EnvironmentFault:
            raise
        except Exception as error:
            raise self.fault(f"raised {type(error).__name__}: {error}") from error
        CheckedEnv.at_work[0] = None
        self._check(observation)
        return observation, info

    def step(self, action: Any) -> Any:
        """Step, checking what comes back."""
        self._step += 1
        CheckedEnv.at_work[0] = self, time.monotonic()
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
            finite = math.isfinite(reward)
        except EnvironmentFault:
            raise
        except Exception as error:
            self._recent.append((action, None, math.nan))
            raise self.fault(f"raised {type(error).__name__}: {error}") from error
        CheckedEnv.at_work[0] = None
        # Copied: some environments go on writing into what they returned.
        plain = observation.copy() if isinstance(observation, np.ndarray) else None
        self._recent.append((action, plain, reward))
        self._check(observation)
        if not finite:
            raise self.fault(f"returned the reward {reward}")
        return observation, reward, terminated, truncated, info

    def _check(self, observation: Any) -> None:
        if text := observation_fault(self.observation_space, observation):
            raise self.fault(text)

    def unanswered(self, seconds: float) -> EnvironmentFault:
        """The fault of an environment that has been at work for too long."""
        fault = Unanswered(
            self._id, self._seed, self._episode, self._step, f"has not answered for {seconds:.0f} s"
        )
        fault.evidence = self.recent()
        return fault

    def note(self, step: int) -> CheckedEnv:
        """Take over the count of this episode's steps from whoever steps what is inside."""
        self._step = step
        return self

    def keeper(self) -> Callable[[tuple[Any, Any, float]], None]:
        """What takes over an action with the observation (a copy) and the reward it led to."""
        return self._recent.append

    def fault(self, what: str) -> EnvironmentFault:
        """What is wrong, and where in which episode, with the last transitions."""
        fault = EnvironmentFault(self._id, self._seed, self._episode, self._step, what)
        fault.evidence = self.recent()
        return fault

    def recent(self) -> dict[str, np.ndarray]:
        """The last transitions: `actions`, `rewards`, and `observations` where they stack."""
        if not self._recent:
            return {}
        actions, observations, rewards = zip(*self._recent, strict=True)
        found = {"actions": np.stack(actions), "rewards": np.array(rewards, np.float64)}
        arrays = [o for o in observations if isinstance(o, np.ndarray)]
        if arrays and len({array.shape for array in arrays}) == 1:
            found["observations"] = np.stack(arrays)
        return found


def observation_fault(space: gymnasium.Space[Any], observation: Any) -> str:
    """What is wrong with an observation, as a clause; "" where nothing is."""
    if isinstance(space, gymnasium.spaces.Dict):
        if not isinstance(observation, dict) or set(observation) != set(space.spaces):
            return f"returned an observation that is not a dict of {sorted(space.spaces)}"
        faults = (observation_fault(s, observation[k]) for k, s in space.spaces.items())
        return next(filter(None, faults), "")
    array = np.asarray(observation)
    if array.shape != space.shape:
        return f"returned an observation of shape {array.shape} instead of {space.shape}"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return "returned an observation with NaN or infinite values"
    return ""


def require_supported(env: gymnasium.Env[Any, Any]) -> None:
    """Refuse an environment whose spaces cannot be learned in and frozen.

    Raises:
        BadInput: A space is of another kind, or its numbers are of a type that is not supported.
    """
    _, action = space_data(env)
    space = env.action_space
    # Half precision is coarser than what a frozen policy may differ from its source by.
    coarse = action["kind"] == "box" and space.dtype not in (np.float32, np.float64)
    narrow = action["kind"] == "multi_discrete" and space.dtype != np.int64
    if coarse or narrow:
        raise BadInput(
            f"actions of the type {space.dtype} in {space}",
            "float32 or float64 for Box, int64 for MultiDiscrete",
            "Wrap the environment with gymnasium.wrappers.TransformAction.",
        )


def space_data(env: gymnasium.Env[Any, Any]) -> tuple[spaces.SpaceData, spaces.SpaceData]:
    """Observation and action space of an environment as plain data."""
    return spaces.to_data(env.observation_space), spaces.to_data(env.action_space)

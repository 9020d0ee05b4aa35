"""Each environment in a process of its own, whose faults arrive as one clear error."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import gymnasium
from stable_baselines3.common.vec_env import SubprocVecEnv

from rl_lab.errors import EnvironmentFault, Failed
from rl_lab_agents.out_of_reach import OutOfReach

_FAULT = "rl_lab.fault"
_GONE = (EOFError, ConnectionError, BrokenPipeError)


class ProcessVecEnv(OutOfReach, SubprocVecEnv):
    """stable-baselines3's `SubprocVecEnv`, in which a faulty environment does not end as EOFError.

    Args:
        factories: Make one environment each, in the process that will hold it.
    """

    def __init__(self, factories: Sequence[Callable[[], gymnasium.Env[Any, Any]]]) -> None:
        try:
            super().__init__([functools.partial(_reporting, factory) for factory in factories])
        except _GONE as error:
            raise Failed(
                "an environment's process ended while the environment was made",
                "an environment that can be made in a fresh process",
                "training.vectorization=sync shows the error itself.",
            ) from error
        self.awaited = 0
        self.remotes = tuple(_Line(self, i, line) for i, line in enumerate(self.remotes))

    def step_wait(self) -> Any:
        """Step all; raise what went wrong in any."""
        try:
            with self.at_work():
                result = super().step_wait()
        except _GONE as error:
            raise self._gone() from error
        _raise_first((*result[3], *self.reset_infos))
        return result

    def reset(self) -> Any:
        """Reset all; raise what went wrong in any."""
        try:
            with self.at_work():
                observations = super().reset()
        except _GONE as error:
            raise self._gone() from error
        _raise_first(self.reset_infos)
        return observations

    def unanswered(self, seconds: float) -> Failed:
        """The error of a process that is silent for too long; all are ended."""
        self._end()
        return Failed(
            f"environment {self.awaited} has not answered for {seconds:.0f} s in its process",
            "an environment that answers within answer_within_s",
            "training.vectorization=sync says where in the episode.",
        )

    def _end(self) -> None:
        self.waiting = False
        for process in self.processes:
            process.kill()

    def _gone(self) -> Failed:
        self.waiting = False
        for process in self.processes:
            process.join(timeout=1)
        codes = [f"{i} ({p.exitcode})" for i, p in enumerate(self.processes) if not p.is_alive()]
        return Failed(
            f"the process of environment {', '.join(codes) or 'unknown'} ended",
            "processes that live as long as the training",
            "In brackets: the exit code; minus a number is the signal that killed it.",
        )

    def close(self) -> None:
        """End all processes, also where some have ended already or are still at work."""
        if self.waiting:
            self._end()
        try:
            super().close()
        except _GONE:
            self._end()
            self.closed = True


class _Line:
    """A pipe to an environment's process; reading notes who is waited for.

    Args:
        owner: Where it is noted.
        index: Of the environment.
        line: The pipe.
    """

    def __init__(self, owner: ProcessVecEnv, index: int, line: Any) -> None:
        self._owner, self._index, self._line = owner, index, line
        self.send, self.close = line.send, line.close

    def recv(self) -> Any:
        self._owner.awaited = self._index
        return self._line.recv()


class _Reporting(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Sends a fault home as information, since an exception would end the process."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        try:
            return self.env.reset(seed=seed, options=options)
        except EnvironmentFault as fault:
            return self.observation_space.sample(), {_FAULT: fault}

    def step(self, action: Any) -> Any:
        try:
            return self.env.step(action)
        except EnvironmentFault as fault:
            return self.observation_space.sample(), 0.0, False, False, {_FAULT: fault}


def _reporting(factory: Callable[[], gymnasium.Env[Any, Any]]) -> gymnasium.Env[Any, Any]:
    return _Reporting(factory())


def _raise_first(infos: Iterable[Mapping[str, Any]]) -> None:
    for info in infos:
        if _FAULT in info:
            raise info[_FAULT]

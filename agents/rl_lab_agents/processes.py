"""Each environment in a process of its own, whose faults arrive as one clear error."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import gymnasium
from stable_baselines3.common.vec_env import SubprocVecEnv

from rl_lab.errors import EnvironmentFault, Failed

_FAULT = "rl_lab.fault"
_GONE = (EOFError, ConnectionError, BrokenPipeError)


class ProcessVecEnv(SubprocVecEnv):
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

    def step_wait(self) -> Any:
        """Step all; raise what went wrong in any."""
        try:
            result = super().step_wait()
        except _GONE as error:
            raise self._gone() from error
        _raise_first((*result[3], *self.reset_infos))
        return result

    def reset(self) -> Any:
        """Reset all; raise what went wrong in any."""
        try:
            observations = super().reset()
        except _GONE as error:
            raise self._gone() from error
        _raise_first(self.reset_infos)
        return observations

    def checkpoint_state(self) -> dict[str, Any]:
        """Nothing: the environments' states lie in their processes."""
        return {}

    def restore_checkpoint_state(self, state: dict[str, Any]) -> None:
        """Nothing is there to restore."""

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
        """End all processes, also where some have ended already."""
        try:
            super().close()
        except _GONE:
            for process in self.processes:
                process.terminate()
            self.closed = True


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

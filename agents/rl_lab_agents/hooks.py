"""What happens beside learning inside stable-baselines3: log points and single episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from rl_lab.agent import EPISODE_COUNT, Listener, Training
from rl_lab.errors import Failed, closest
from rl_lab_agents.live import LiveSchedules
from rl_lab_agents.schedules import Schedule

RETURN, LENGTH = "raw/rollouts/episodic_return", "raw/rollouts/episodic_length"
INFO = "raw/info/"


def hooks(
    training: Training,
    live: Mapping[str, Schedule],
    listener: Listener,
    counts: dict[str, int],
) -> list[BaseCallback]:
    """Callbacks for schedules and for what the training's logging asks for.

    Args:
        training: What it asks for.
        live: Schedules that the algorithm does not follow by itself.
        listener: Told.
        counts: Where they keep what must outlast an interruption.
    """
    made: list[BaseCallback] = [LiveSchedules(live)] if live else []
    if training.log_episodes:
        made.append(RawEpisodes(listener, counts))
    if training.log_info:
        made.append(RawInfo(training.log_info, listener, counts))
    if training.log_every_steps:
        made.append(LogEvery(training.log_every_steps, counts))
    return made


def own_rhythm(training: Training) -> dict[str, Any]:
    """Keywords of the algorithm's `learn` that turn its own log points off where others are."""
    return {} if training.log_every_steps is None else {"log_interval": None}


class LogEvery(BaseCallback):
    """Dumps the log at the first whole update after every so many steps.

    Args:
        steps: Steps between two log points.
        counts: Where the step of the latest one is kept.
    """

    def __init__(self, steps: int, counts: dict[str, int]) -> None:
        super().__init__()
        self._steps, self._counts = steps, counts

    def _on_rollout_start(self) -> None:
        last = self._counts.setdefault("logged_at", self.num_timesteps)
        if self.num_timesteps // self._steps > last // self._steps:
            self._counts["logged_at"] = self.num_timesteps
            self.model.dump_logs()

    def _on_step(self) -> bool:
        return True


class RawEpisodes(BaseCallback):
    """Hands on each training episode's return and length, unsmoothed, and how many there were.

    Args:
        listener: Told.
        counts: Where their number is kept.
    """

    def __init__(self, listener: Listener, counts: dict[str, int]) -> None:
        super().__init__()
        self._listener, self._counts = listener, counts

    def _on_step(self) -> bool:
        for info in self.locals.get("infos", ()):
            if episode := info.get("episode"):
                count = self._counts["episodes"] = self._counts.get("episodes", 0) + 1
                values = {RETURN: episode["r"], LENGTH: episode["l"], EPISODE_COUNT: count}
                self._listener.metrics(self.num_timesteps, {k: float(v) for k, v in values.items()})
        return True


class RawInfo(BaseCallback):
    """Hands on numbers that the environment's `info` has where an episode ends.

    Args:
        names: Which; one that the first episode's end does not have is refused.
        listener: Told.
        counts: Where it is kept that they were found.
    """

    def __init__(self, names: Sequence[str], listener: Listener, counts: dict[str, int]) -> None:
        super().__init__()
        self._names, self._listener, self._counts = names, listener, counts

    def _on_step(self) -> bool:
        for info in self.locals.get("infos", ()):
            if "episode" in info:
                self._end(info)
        return True

    def _end(self, info: Mapping[str, Any]) -> None:
        numbers = {
            name: float(value)
            for name, value in info.items()
            if isinstance(value, bool | int | float | np.number | np.bool_)
        }
        missing = [name for name in self._names if name not in numbers]
        # Some are there in some episodes only; one that never was is most likely mistyped.
        if missing and "info_found" not in self._counts:
            raise Failed(
                f"training.log_info={missing[0]}: no such number in info at an episode's end",
                ", ".join(sorted(numbers)) or "a number that the environment puts there",
                closest(missing[0], numbers),
            )
        self._counts["info_found"] = 1
        self._listener.metrics(
            self.num_timesteps,
            {f"{INFO}{name}": numbers[name] for name in self._names if name in numbers},
        )


class MetricsWriter(KVWriter):
    """Hands on numbers at boundaries, each name once per step and with its latest value.

    On-policy algorithms dump at the last step before they update, and what is left is dumped
    after it: a curve would have two values there.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._step, self._told = -1, set[str]()
        self._held: dict[str, float] = {}

    def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
        """Take the numbers of one dump."""
        if step != self._step:
            self.flush()
            self._step, self._told = step, set()
        self._held |= {
            k: float(v)
            for k, v in key_values.items()
            if k not in self._told and isinstance(v, int | float | np.number)
        }

    def flush(self) -> None:
        """Hand on what is held."""
        held, self._held = self._held, {}
        self._told.update(held)
        if held:
            self._listener.metrics(self._step, held)

    def close(self) -> None:
        """Nothing is held open."""

"""What happens beside learning inside stable-baselines3: log points and single episodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from rl_lab.agent import EPISODE_COUNT, Listener, Training
from rl_lab_agents.live import LiveSchedules
from rl_lab_agents.schedules import Schedule

RETURN, LENGTH = "raw/rollouts/episodic_return", "raw/rollouts/episodic_length"


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

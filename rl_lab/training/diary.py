"""What every training writes down on its way: metrics, TensorBoard events, heartbeats, costs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import rl_lab
from rl_lab import runs
from rl_lab.runs import Progress
from rl_lab.tracking import EventWriter, MetricsLog, NullWriter, tags
from rl_lab.training.costs import Clock
from rl_lab.training.plan import Work

_HEARTBEAT_S = 0.5


class Diary:
    """Keeps a training's metrics, events and heartbeats in its folder, and the time it took.

    Args:
        plan: The training.
        on_progress: Told about progress a few times per second.
        stored: What `state` gave before an interruption; None begins anew.
    """

    def __init__(
        self,
        plan: Work,
        on_progress: Callable[[Progress], None],
        stored: Mapping[str, Any] | None = None,
    ) -> None:
        self._plan, self._on_progress = plan, on_progress
        self.clock = Clock()
        self._beat = time.monotonic()
        self._return: float | None = None
        self.latest: dict[str, float] = {}
        places: Mapping[str, Any] = {}
        if stored is not None:
            self._return, self.latest = stored["return"], dict(stored["latest"])
            self.clock.restore(stored["clock"])
            places = stored["places"]
        self._log = MetricsLog(plan.folder, places.get("metrics"))
        self.events: EventWriter = NullWriter()
        if plan.tensorboard:
            self.events = EventWriter(plan.folder, places.get("events"))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Keep one log point."""
        self._return = values.get(tags.EPISODE_RETURN, self._return)
        self.latest.update(values)
        self._log.append(step, self.clock.seconds(), values)
        self.events.scalars(step, values)
        self.heartbeat(step)

    def heartbeat(self, step: int) -> None:
        """Leave a sign of life, where the last one was a while ago."""
        now = time.monotonic()
        if now - self._beat < _HEARTBEAT_S:
            return
        self._beat = now
        self.clock.energy()  # counters that start again would be missed at the end alone
        seconds = self.clock.seconds()
        progress = Progress(step, self._plan.steps, step / seconds, self._return, seconds)
        runs.write_progress(self._plan.folder, progress)
        self._on_progress(progress)

    def state(self) -> dict[str, Any]:
        """What must outlast an interruption; all that was written is on the disk."""
        return {
            "return": self._return,
            "latest": self.latest,
            "places": {"metrics": self._log.place(), "events": self.events.place()},
            "clock": self.clock.state(),
        }

    def close(self) -> None:
        """Close the files."""
        self._log.close()
        self.events.close()


def policy_facts(plan: Work, steps: int, origin: Mapping[str, Any]) -> dict[str, Any]:
    """What a training tells about itself in the cards of its frozen policies.

    Args:
        plan: The training.
        steps: Environment steps that the policy has learned from.
        origin: More about where it comes from.
    """
    return {
        "agent": plan.agent,
        "training_seed": plan.seed,
        "steps": steps,
        "recipe_hash": plan.recipe_hash,
        "environment": plan.environment.to_data(),
        "anchors": dataclasses.asdict(plan.anchors) if plan.anchors else None,
        "provenance": {"rl_lab": rl_lab.__version__, "settings": plan.settings, **origin},
    }

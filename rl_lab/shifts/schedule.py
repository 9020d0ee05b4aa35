"""Schedules: how a shift's magnitude moves while time goes on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_lab.errors import BadInput, closest

KINDS = ("step", "ramp", "cycle", "random_walk")
CLOCKS = ("steps", "episodes")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The share of a shift's magnitude over time, in [0, 1].

    `step`: 0, then 1 from `start` on. `ramp`: 0 until `start`, then straight to 1 within `span`.
    `cycle`: from `start` on (1 - cos(2 pi t / span)) / 2. `random_walk`: from `start` on a Gaussian
    walk between 0 and 1, reflected there, whose deviation is 1 after `span` without the walls.

    Attributes:
        kind: One of the four.
        clock: `steps` within an episode, or `episodes`.
        start: Ticks of the clock before anything moves.
        span: Ticks, see above; `step` has no use for it.
    """

    kind: str
    clock: str
    start: int
    span: int

    def __str__(self) -> str:
        over = "" if self.kind == "step" else f" over {self.span}"
        return f"{self.kind} at {self.start}{over} {self.clock}"

    def share(self, tick: int, walk: float) -> float:
        """The share at a tick of the clock.

        Args:
            tick: From 0.
            walk: Where a random walk has come to.
        """
        past = tick - self.start
        if past < 0:
            return 0.0
        return walk if self.kind == "random_walk" else self._share(past)

    def walked(self, tick: int, walk: float, draws: np.random.Generator) -> float:
        """Where a random walk is after a tick; draws nothing for the other kinds."""
        if self.kind != "random_walk" or tick < self.start:
            return walk
        far: float = abs(walk + self.span**-0.5 * draws.standard_normal()) % 2.0
        return 2.0 - far if far > 1.0 else far

    def shares(self, ticks: int, draws: np.random.Generator) -> list[float]:
        """The shares at ticks 0, 1, ..., ticks - 1."""
        found, walk = [], 0.0
        for tick in range(ticks):
            found.append(self.share(tick, walk))
            walk = self.walked(tick, walk, draws)
        return found

    def _share(self, past: int) -> float:
        if self.kind == "step":
            return 1.0
        if self.kind == "ramp":
            return min(1.0, past / self.span)
        return (1.0 - math.cos(2.0 * math.pi * past / self.span)) / 2.0

    def to_data(self) -> dict[str, Any]:
        """The schedule as JSON-ready data."""
        return dataclasses.asdict(self)


def from_data(data: Mapping[str, Any]) -> Schedule:
    """Check and type a schedule's configuration.

    Raises:
        BadInput: A field is missing, unknown or out of range.
    """
    names = [field.name for field in dataclasses.fields(Schedule)]
    for key in data:
        if key not in names:
            raise BadInput(f"schedule.{key}", f"one of {', '.join(names)}", closest(key, names))
    if missing := [name for name in names if name not in data]:
        raise BadInput(f"the schedule lacks {', '.join(missing)}", "every field of a schedule")
    for key, known in (("kind", KINDS), ("clock", CLOCKS)):
        if data[key] not in known:
            do = closest(str(data[key]), known)
            raise BadInput(f"schedule.{key}={data[key]}", f"one of {', '.join(known)}", do)
    least = {"start": 0, "span": 0 if data["kind"] == "step" else 1}
    for key, lowest in least.items():
        value = data[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise BadInput(f"schedule.{key}={value}", f"a whole number from {lowest} up")
    return Schedule(**data)

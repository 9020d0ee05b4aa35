"""Contexts: the world that an episode is lived in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_lab.errors import BadInput
from rl_lab.shifts import declaration, schedule
from rl_lab.shifts.declaration import Shift
from rl_lab.shifts.schedule import Schedule

NO_SHIFT = "none"
NO_SCHEDULE = "none"


@dataclasses.dataclass(frozen=True)
class Context:
    """Shifts, each with its magnitude, all at once; without any, the training context.

    Attributes:
        parts: Pairs of a shift and its magnitude in [0, 1].
        schedule: Moves all magnitudes together, from 0 to what `parts` says; None where they
            stand still.
        tick: With the clock `episodes` in an evaluation, where each episode has a context of its
            own: the magnitudes are those of this tick, and stand still. None elsewhere.
    """

    parts: tuple[tuple[Shift, float], ...]
    schedule: Schedule | None
    tick: int | None

    @property
    def shift_name(self) -> str:
        """The path that the context lies on: `none`, `longer_pole`, or `longer_pole+wind@0.5`.

        All shifts but the first are part of the path's name, with their magnitude.
        """
        if not self.parts:
            return NO_SHIFT
        first, *others = self.parts
        return "+".join([first[0].name, *(f"{shift.name}@{delta:g}" for shift, delta in others)])

    @property
    def delta(self) -> float:
        """Where on that path it lies; of a schedule, what it moves to."""
        return self.parts[0][1] if self.parts else 0.0

    @property
    def schedule_name(self) -> str:
        """The schedule in records."""
        return str(self.schedule) if self.schedule else NO_SCHEDULE

    @property
    def key(self) -> tuple[str, float, str]:
        """What names the context in records."""
        return self.shift_name, self.delta, self.schedule_name

    @property
    def moves(self) -> bool:
        """Whether magnitudes change while the environment is used."""
        return self.schedule is not None and self.tick is None

    def __str__(self) -> str:
        if not self.parts:
            return "the training context"
        still = f"{self.shift_name} {self.delta:g}"
        return f"{still}, {self.schedule}" if self.schedule else still

    def to_data(self) -> dict[str, Any]:
        """The context as JSON-ready data."""
        return {
            "parts": [{"shift": shift.to_data(), "delta": delta} for shift, delta in self.parts],
            "schedule": self.schedule.to_data() if self.schedule else None,
            "tick": self.tick,
        }


NOMINAL = Context((), None, None)


def shifted(shift: Shift, delta: float, moved_by: Schedule | None = None) -> Context:
    """The context of one shift.

    Raises:
        BadInput: The magnitude lies outside [0, 1].
    """
    return combined(((shift, delta),), moved_by)


def combined(parts: tuple[tuple[Shift, float], ...], moved_by: Schedule | None = None) -> Context:
    """The context of several shifts at once.

    Raises:
        BadInput: A magnitude lies outside [0, 1], or a shift comes twice.
    """
    for shift, delta in parts:
        shift.value(delta)
    names = [shift.name for shift, _ in parts]
    if len(set(names)) < len(names):
        raise BadInput(f"the shifts {', '.join(names)}", "each shift once", "Leave one out.")
    # What stands at 0 changes nothing, and one world has one name.
    present = tuple((shift, float(delta)) for shift, delta in parts if delta > 0.0)
    return Context(present, moved_by, None) if present else NOMINAL


def over_episodes(
    shift: Shift, delta: float, moved_by: Schedule, ticks: int, draws: np.random.Generator
) -> list[Context]:
    """The context of each of a row of episodes, for a schedule whose clock they are.

    Args:
        shift: What moves.
        delta: What it moves to.
        moved_by: The schedule.
        ticks: How many episodes.
        draws: What a random walk draws from.
    """
    shares = moved_by.shares(ticks, draws)
    return [Context(((shift, share * delta),), moved_by, i) for i, share in enumerate(shares)]


def from_data(data: Mapping[str, Any]) -> Context:
    """Read back what `to_data` gave.

    Raises:
        BadInput: It is not what that gives.
    """
    try:
        parts = tuple(
            (declaration.from_data(part["shift"]), float(part["delta"])) for part in data["parts"]
        )
        moved_by = schedule.from_data(data["schedule"]) if data["schedule"] else None
        tick = data["tick"]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"a context that cannot be read: {error!r}", "parts, schedule, tick"
        ) from error
    context = combined(parts, moved_by)
    return context if tick is None else Context(parts, moved_by, int(tick))

"""Shifts: declared one-parameter paths away from the training context, and worlds made of them."""

from rl_lab.shifts.application import World, make, make_drawn, make_world
from rl_lab.shifts.context import (
    NO_SCHEDULE,
    NO_SHIFT,
    NOMINAL,
    Context,
    combined,
    over_episodes,
    shifted,
)
from rl_lab.shifts.context import from_data as context_from_data
from rl_lab.shifts.declaration import ANY_ENVIRONMENT, Shift, from_data, from_file
from rl_lab.shifts.edits import require_id
from rl_lab.shifts.efficacy import fault, require_effective, trajectory
from rl_lab.shifts.schedule import Schedule
from rl_lab.shifts.schedule import from_data as schedule_from_data
from rl_lab.shifts.sets import RANGES, Drawn, drawn, drawn_from, drawn_from_data

__all__ = [
    "ANY_ENVIRONMENT",
    "NOMINAL",
    "NO_SCHEDULE",
    "NO_SHIFT",
    "RANGES",
    "Context",
    "Drawn",
    "Schedule",
    "Shift",
    "World",
    "combined",
    "context_from_data",
    "drawn",
    "drawn_from",
    "drawn_from_data",
    "fault",
    "from_data",
    "from_file",
    "make",
    "make_drawn",
    "make_world",
    "over_episodes",
    "require_effective",
    "require_id",
    "schedule_from_data",
    "shifted",
    "trajectory",
]

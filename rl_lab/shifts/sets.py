"""Ranges of contexts, and lists drawn from them: near is interpolation, far extrapolation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_lab import seeding
from rl_lab.errors import BadInput, closest
from rl_lab.shifts import declaration
from rl_lab.shifts.context import Context, shifted
from rl_lab.shifts.declaration import Shift

RANGES = ("near", "far")


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What contexts are drawn from: one of the shifts, then a magnitude within the range.

    Attributes:
        range: `near`: above 0 up to where near ends; `far`: from there to 1.
        shifts: Each as likely as the others.
    """

    range: str
    shifts: tuple[Shift, ...]

    def draw(self, draws: np.random.Generator) -> tuple[Shift, float]:
        """One shift and its magnitude, uniform within the range; of whole values among those."""
        shift = self.shifts[int(draws.integers(len(self.shifts)))]
        low, high = (0.0, shift.near_delta) if self.range == "near" else (shift.near_delta, 1.0)
        # The lower end is never met.
        delta = high - (high - low) * draws.random()
        if shift.whole:
            return shift, shift.delta(shift.value(delta))  # one world has one name
        return shift, round(delta, 6)  # keeps names short

    def contexts(self, count: int, draws: np.random.Generator) -> list[Context]:
        """A list of contexts."""
        return [shifted(*self.draw(draws)) for _ in range(count)]

    def contains(self, name: str, shifts: tuple[Shift, ...]) -> bool | None:
        """Whether a range of some shifts lies in this (True), outside (False), or partly (None).

        The same shift is one of the same declaration, wherever its numbers come from.
        """
        mine = [_declared(shift) for shift in self.shifts]
        shared = [_declared(shift) in mine for shift in shifts] if name == self.range else []
        if not any(shared):
            return False
        return True if all(shared) else None

    def to_data(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {"range": self.range, "shifts": [shift.to_data() for shift in self.shifts]}


def _declared(shift: Shift) -> Shift:
    return dataclasses.replace(shift, source="")


def drawn(name: str, shifts: tuple[Shift, ...]) -> Drawn:
    """A range of some shifts.

    Raises:
        BadInput: There is no such range, or there are no shifts.
    """
    if name not in RANGES:
        raise BadInput(f"contexts={name}", f"one of {', '.join(RANGES)}", closest(name, RANGES))
    if not shifts:
        raise BadInput(f"contexts={name} without a shift", "at least one shift", "Name one.")
    return Drawn(name, shifts)


def drawn_from_data(data: Mapping[str, Any]) -> Drawn:
    """Read back what `Drawn.to_data` gave.

    Raises:
        BadInput: It is not what that gives.
    """
    try:
        name, shifts = str(data["range"]), tuple(map(declaration.from_data, data["shifts"]))
    except (KeyError, TypeError) as error:
        raise BadInput(f"contexts that cannot be read: {error!r}", "range, shifts") from error
    return drawn(name, shifts)


def drawn_from(seed: int) -> np.random.Generator:
    """What the contexts of a run are drawn from, after a reset with this seed."""
    return seeding.generator(seed, "contexts")

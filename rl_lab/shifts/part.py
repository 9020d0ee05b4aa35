"""One shift at work in one environment, at a magnitude that may change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from rl_lab.shifts import edits
from rl_lab.shifts.declaration import Shift
from rl_lab.shifts.dial import Dial


class Part:
    """One shift at work in one environment."""

    def __init__(self, root: Any, shift: Shift, delta: float, dial: Dial | None) -> None:
        self.shift, self.delta, self.dial = shift, delta, dial
        self._root, self._now = root, 0.0
        self._before = [
            edits.writer(root, shift, "before_reset") if "before_reset" in shift.acts else None,
            edits.transitions(root, shift) if "transitions" in shift.acts else None,
        ]
        self._after: edits.Writer | None = None
        self._constants = edits.Constants(root, shift) if "module" in shift.acts else None

    def prepare(self, delta: float) -> None:
        """Put what outlives a reset at a magnitude."""
        # What is not shifted has nothing to take back, and another shift may have written there.
        if delta != 0.0 or self._now != 0.0:
            for write in filter(None, self._before):
                write(delta)
        self._now = delta
        if self.dial is not None:
            self.dial.value = self.shift.value(delta)

    def follow(self) -> None:
        """After a reset: bring what that has made anew to the magnitude."""
        if "after_reset" in self.shift.acts:
            self._after = edits.writer(self._root, self.shift, "after_reset")
            if self._now > 0.0:
                self._after(self._now)

    def leave(self) -> None:
        """Before a reset: take back what acts after it, where the reset does not make it anew."""
        if self._after is not None and self._now > 0.0:
            self._after(0.0)

    def move(self, delta: float) -> None:
        """Another magnitude, within an episode."""
        if delta != self._now:
            self.prepare(delta)
            if self._after is not None:
                self._after(delta)

    @contextlib.contextmanager
    def constants(self) -> Iterator[None]:
        """While the environment runs, the module's numbers are shifted."""
        if self._constants is None:
            yield
        else:
            with self._constants.at(self._now):
                yield

    @property
    def has_constants(self) -> bool:
        """Whether `constants` does anything."""
        return self._constants is not None

    @property
    def options(self) -> dict[str, Any]:
        """Options for the environment's reset."""
        if "reset_options" not in self.shift.acts or self._now == 0.0:
            return {}
        return edits.arguments(self.shift, self._now, "reset_options")

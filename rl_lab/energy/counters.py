"""What a counter of energy is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

# What reading a counter may raise: a file that is gone, a number that is none, a driver that fails.
NOT_READ = (OSError, ValueError)


@dataclasses.dataclass(frozen=True)
class Counter:
    """One counter of energy, of a processor package or a GPU.

    Attributes:
        read_uj: Microjoules so far; raises one of `NOT_READ`.
        range_uj: Where it starts again from 0; None where it never does.
    """

    read_uj: Callable[[], int]
    range_uj: int | None

    def spent_uj(self, before_uj: int, after_uj: int) -> int:
        """Microjoules between two readings less than one whole round apart.

        Raises:
            ValueError: A counter that never starts again has gone back.
        """
        if after_uj >= before_uj:
            return after_uj - before_uj
        if self.range_uj is None:
            raise ValueError("its counter was set back")
        return after_uj - before_uj + self.range_uj


@dataclasses.dataclass(frozen=True)
class Counters:
    """All readable counters of one kind.

    Attributes:
        source: What kind, for people.
        found: The counters.
        reason: Why there are none; "" where there are.
    """

    source: str
    found: tuple[Counter, ...]
    reason: str

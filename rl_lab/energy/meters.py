"""Joules over a stretch of work, summed from readings that are taken on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rl_lab.energy import nvml, rapl
from rl_lab.energy.counters import NOT_READ, Counters

UNAVAILABLE = "unavailable"
_EARLIER = "not known of an earlier part: "


class Meter:
    """Joules since it was made, and before that if it goes on from an earlier one.

    A package's counter starts again from 0 after minutes to hours, so `read` has to be called now
    and then. A counter that fails makes the whole sum unknown, never smaller.

    Args:
        counters: All of one kind.
    """

    def __init__(self, counters: Counters) -> None:
        self.source = counters.source
        self.reason = counters.reason
        self._found = counters.found
        self._spent_uj = 0
        try:
            self._last_uj = [counter.read_uj() for counter in self._found]
        except NOT_READ as error:
            self._fail(str(error))

    def read(self) -> float | None:
        """Joules so far; None where they are not known, with `reason`."""
        if self.reason:
            return None
        try:
            now_uj = [counter.read_uj() for counter in self._found]
            triples = zip(self._found, self._last_uj, now_uj, strict=True)
            self._spent_uj += sum(c.spent_uj(before, after) for c, before, after in triples)
        except NOT_READ as error:
            self._fail(str(error))
            return None
        self._last_uj = now_uj
        return self._spent_uj / 1e6

    def state(self) -> dict[str, Any]:
        """Where another meter may go on."""
        return {"joules": self.read(), "reason": self.reason}

    def go_on(self, earlier: Mapping[str, Any]) -> None:
        """Add what an earlier part of the same work spent; unknown if that is not known."""
        if earlier["joules"] is None:
            why = str(earlier["reason"]).removeprefix(_EARLIER)
            self.reason = self.reason or f"{_EARLIER}{why}"
        else:
            self._spent_uj += round(earlier["joules"] * 1e6)

    def _fail(self, why: str) -> None:
        self.reason = f"{self.source} could not be read to the end: {why}"


@dataclasses.dataclass(frozen=True)
class Meters:
    """The two kinds of counters.

    Attributes:
        package: Of the processors, their memory controllers and caches.
        gpu: Of all NVIDIA GPUs.
    """

    package: Meter
    gpu: Meter

    @property
    def source(self) -> str:
        """What is counted here, or `unavailable`."""
        return ", ".join(m.source for m in (self.package, self.gpu) if not m.reason) or UNAVAILABLE

    def data(self) -> dict[str, Any]:
        """Joules of both, as files have them; what is missing is null with its reason."""
        found: dict[str, Any] = {}
        for key, meter in (("joules", self.package), ("gpu_joules", self.gpu)):
            spent = meter.read()
            found[key] = None if spent is None else round(spent, 6)
            if spent is None:
                found[f"{key}_reason"] = meter.reason
        # After the readings, any of which may have failed.
        return {"source": self.source, **found}


def meters() -> Meters:
    """Meters of this machine that begin now."""
    return Meters(Meter(rapl.counters()), Meter(nvml.counters()))

"""What a training costs, over all its attempts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rl_lab.energy import Meters, meters

_NOT_COUNTED = {"joules": None, "reason": "its version of rl-lab did not count energy"}


class Clock:
    """Wall time, processor time and energy since a training began, without gaps between attempts.

    What an attempt did after its last checkpoint is done again, and counts once.

    Args:
        energy: Meters that begin now; those of this machine by default.
    """

    def __init__(self, energy: Meters | None = None) -> None:
        self._energy = energy or meters()
        self._wall, self._processor = time.monotonic(), time.process_time()

    def seconds(self) -> float:
        """Wall time."""
        return time.monotonic() - self._wall

    def cpu_seconds(self) -> float:
        """Processor time of this process, all threads."""
        return time.process_time() - self._processor

    def energy(self) -> dict[str, Any]:
        """Joules of the whole machine as `run.json` has them; to be called every few minutes."""
        return self._energy.data()

    def state(self) -> dict[str, Any]:
        """All of it."""
        energy = {"package": self._energy.package.state(), "gpu": self._energy.gpu.state()}
        return {"seconds": self.seconds(), "cpu_seconds": self.cpu_seconds(), "energy": energy}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what an earlier attempt had used."""
        self._wall -= state["seconds"]
        self._processor -= state["cpu_seconds"]
        energy = state.get("energy", {})
        self._energy.package.go_on(energy.get("package", _NOT_COUNTED))
        self._energy.gpu.go_on(energy.get("gpu", _NOT_COUNTED))

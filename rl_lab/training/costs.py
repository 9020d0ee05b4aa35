"""What a training costs, over all its attempts."""

from __future__ import annotations

import time
from collections.abc import Mapping


class Clock:
    """Wall time and processor time since a training began, without the gaps between attempts.

    What an attempt did after its last checkpoint is done again, and counts once.
    """

    def __init__(self) -> None:
        self._wall, self._processor = time.monotonic(), time.process_time()

    def seconds(self) -> float:
        """Wall time."""
        return time.monotonic() - self._wall

    def cpu_seconds(self) -> float:
        """Processor time of this process, all threads."""
        return time.process_time() - self._processor

    def state(self) -> dict[str, float]:
        """Both."""
        return {"seconds": self.seconds(), "cpu_seconds": self.cpu_seconds()}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from what an earlier attempt had used."""
        self._wall -= state["seconds"]
        self._processor -= state["cpu_seconds"]

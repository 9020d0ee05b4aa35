"""What ends a training early."""

from __future__ import annotations

import dataclasses

from rl_lab.training.callbacks import Moment


@dataclasses.dataclass(frozen=True)
class Enough:
    """Ends once so many evaluations in a row were good enough.

    Args:
        mean_return: What is good enough.
        times: In a row.
    """

    mean_return: float
    times: int

    def __call__(self, moment: Moment) -> str | None:
        """A reason to end, or None."""
        latest = [point["mean_return"] for point in moment.selection[-self.times :]]
        good = len(latest) == self.times and min(latest) >= self.mean_return
        return f"{self.times} good evaluations" if good else None

"""A callback as a user would write it."""

from __future__ import annotations

import dataclasses

from rl_lab.training.callbacks import Moment


@dataclasses.dataclass(frozen=True)
class StopAt:
    """Ends at a step, and logs the steps before it."""

    step: int

    def __call__(self, moment: Moment) -> str | None:
        moment.log({"mine/step": float(moment.step)})
        return f"step {self.step} came" if moment.step >= self.step else None

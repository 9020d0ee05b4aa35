"""A callback as a user would write it."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

from rl_lab.training.callbacks import Moment


@dataclasses.dataclass(frozen=True)
class StopAt:
    """Ends at a step, and logs the steps before it."""

    step: int

    def __call__(self, moment: Moment) -> str | None:
        moment.log({"mine/step": float(moment.step)})
        return f"step {self.step} came" if moment.step >= self.step else None


@dataclasses.dataclass(frozen=True)
class InterruptOnce:
    """Sends this process the signal of a Ctrl-C at step 200, the first time."""

    def __call__(self, moment: Moment) -> str | None:
        mark = Path("interrupted")
        if moment.step >= 200 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGINT)
        return None

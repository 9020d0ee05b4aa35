"""A callback as a user would write it."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
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


class Counting:
    """Counts its calls in a way that a file can hold."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, moment: Moment) -> str | None:
        self.calls.append(moment.step)
        moment.log({"mine/calls": float(len(self.calls))})
        return None


class WithLambda(Counting):
    """Holds a function that no file can name."""

    def __init__(self) -> None:
        super().__init__()
        count = [0]
        self.next = lambda: count.append(0) or len(count)


class WithSocket(Counting):
    """Holds a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.line = socket.socket()


class Declared(WithSocket):
    """Says that what it holds does not matter."""

    not_checkpointed = ("line", "scale")

    def __init__(self) -> None:
        super().__init__()
        self.scale = lambda x: 2 * x


class WithCode(Counting):
    """Holds what can be imported and so never is state."""

    def __init__(self) -> None:
        super().__init__()
        self.module, self.kind, self.function = os, Path, interrupt


class Late(Counting):
    """Opens its connection in the middle of the training."""

    line: socket.socket | None = None

    def __call__(self, moment: Moment) -> str | None:
        if len(self.calls) == 4:
            self.line = socket.socket()
        return super().__call__(moment)


class Note:
    """A step that was seen."""

    def __init__(self, step: int) -> None:
        self.step = step


class Noting(Counting):
    """Makes objects on the way, of which a new process has none to be written into."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[Note] = []

    def __call__(self, moment: Moment) -> str | None:
        self.notes.append(Note(moment.step))
        return super().__call__(moment)


def interrupt() -> None:
    """Sends this process the signal of a Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)

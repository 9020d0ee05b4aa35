"""What every training does around its learning: hold its folder, stop cleanly, say how it ended."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from rl_lab import files, runs
from rl_lab.agent import Agent, Listener
from rl_lab.errors import BadInput, Held, LabError
from rl_lab.training import crash, watching
from rl_lab.training.plan import Work


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a training ended: its status, and whether it was complete before anything was done."""

    status: str
    skipped: bool


class Recording(Listener, Protocol):
    """A listener that keeps a training's folder.

    Attributes:
        stopped: Whether a signal has asked for a stop; set from outside.
        finished: Whether all was done.
        ended: What ended the training before its steps were done, if anything did.
        fault: What went wrong before it could begin, if anything did.
    """

    stopped: bool
    finished: bool
    ended: str | None
    fault: LabError | None

    @property
    def step(self) -> int:
        """Environment steps at the latest boundary."""

    @property
    def saved_step(self) -> int | None:
        """Where the same command would go on; None is the beginning."""

    def __enter__(self) -> Any:
        """Hold files open."""

    def __exit__(self, *exception: object) -> None:
        """Close them."""

    def finish(self) -> None:
        """Leave what a complete training leaves."""

    def write_card(self, status: str, error: str | None = None) -> None:
        """Say how things stand."""


def alone(
    folder: Path,
    doing: str,
    status: Callable[[Path], str | None],
    work: Callable[[], Outcome],
) -> Outcome:
    """Work in a folder that no other process works in; where nothing comes of it none is left.

    Args:
        folder: Made if need be.
        doing: What is done there, for another process's message.
        status: Says how far the folder is; None where it holds nothing worth keeping.
        work: What to do.

    Raises:
        BadInput: Another process works there, or the folder cannot be made.
    """
    try:
        made = _made(folder)
    except OSError as error:
        raise BadInput(str(files.cannot_write(folder, error))) from error
    try:
        with runs.exclusive(folder, doing):
            return work()
    except Held:
        raise  # what is in there is the other process's
    except BaseException as error:
        # Before the card is written there is nothing worth keeping.
        if made and (isinstance(error, BadInput) or status(folder) is None):
            _remove_with_empty_parents(folder)
        raise


def _made(folder: Path) -> bool:
    """Make a folder; whether it was not there before."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
        return False
    return True


def _remove_with_empty_parents(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for parent in list(folder.parents)[:4]:
        try:
            parent.rmdir()
        except OSError:
            return


def learn(
    plan: Work,
    agent: Agent,
    target: int,
    recorder: Recording,
    on_stop: Callable[[], None],
    tell: Callable[[str], None],
) -> Outcome:
    """Let an agent learn; whatever ends it, the card says so.

    Args:
        plan: The training.
        agent: Who learns.
        target: Environment steps, counted as the agent does.
        recorder: Listens.
        on_stop: Told when a signal has asked for a stop.
        tell: Told what a user should know, a line at a time.

    Raises:
        LabError: The environment or the disk failed.
    """
    recorder.write_card(runs.RUNNING)
    try:
        with recorder, stop_on_signal(recorder, on_stop), watching.watched(plan.answer_within_s):
            if recorder.fault is not None:
                raise recorder.fault
            if recorder.ended is None:
                agent.learn(target, recorder)
            if not recorder.stopped:
                recorder.finish()
    except KeyboardInterrupt:
        recorder.write_card(runs.INTERRUPTED)
        raise
    except Exception as error:
        text = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
        # On a full disk the card cannot be written either; the first error is the one to show.
        with contextlib.suppress(LabError):
            recorder.write_card(runs.FAILED, error=text)
        crash.write(plan.folder, error, recorder.step, recorder.saved_step, tell)
        if isinstance(error, OSError):
            raise files.cannot_write(plan.folder, error) from error
        raise
    status = runs.COMPLETE if recorder.finished else runs.INTERRUPTED
    recorder.write_card(status)
    return Outcome(status, skipped=False)


class Stoppable(Protocol):
    """Who is told that a signal has asked for a stop."""

    stopped: bool


@contextlib.contextmanager
def stop_on_signal(recorder: Stoppable, on_stop: Callable[[], None]) -> Iterator[None]:
    """A signal asks for a stop at the next boundary; Ctrl-C after that stops at once.

    Other signals ask once, however often they come: a cluster sends them to every process of a
    job, and launchers hand them on. Whoever waits no longer kills.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, frame: object) -> None:
        if recorder.stopped:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        recorder.stopped = True
        on_stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGUSR1"):  # how clusters announce a time limit
        numbers += [signal.SIGUSR1, signal.SIGUSR2]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)

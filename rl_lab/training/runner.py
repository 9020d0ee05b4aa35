"""Run a plan: skip what is complete, leave nothing half-made, stop cleanly on a signal."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import torch

from rl_lab import files, paths, runs, seeding
from rl_lab.agent import MakeAgent
from rl_lab.errors import BadInput, LabError
from rl_lab.runs import Progress
from rl_lab.states import strategies
from rl_lab.training import crash, starting, watching
from rl_lab.training.plan import RunPlan
from rl_lab.training.recorder import Freeze, Recorder


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended: its status, and whether it was complete before anything was done."""

    status: str
    skipped: bool


def train(
    plan: RunPlan,
    make_agent: MakeAgent,
    freeze: Freeze,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_stop: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Train one run to its end, from its newest checkpoint; a complete run is left as it is.

    Args:
        plan: What to train.
        make_agent: The agent family's factory with its hyperparameters bound.
        freeze: Turns the agent's policy into a frozen one.
        on_progress: Told about progress a few times per second.
        on_stop: Told when a signal has asked for a stop.
        tell: Told what a user should know, a line at a time.

    Raises:
        BadInput: The agent refuses its settings, or another process trains here; no new folder
            is left behind.
        LabError: The environment or the disk failed; `run.json` says so.
    """
    if runs.status(plan.folder) == runs.COMPLETE:
        return Outcome(runs.COMPLETE, skipped=True)
    made = not plan.folder.exists()
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(str(files.cannot_write(plan.folder, error))) from error
    try:
        with runs.exclusive(plan.folder, "training"):
            return _train(plan, make_agent, freeze, on_progress, on_stop, tell)
    except BaseException as error:
        # Before the card is written there is nothing worth keeping.
        if made and (isinstance(error, BadInput) or runs.status(plan.folder) is None):
            _remove_with_empty_parents(plan.folder)
        raise


def _remove_with_empty_parents(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for parent in list(folder.parents)[:4]:
        try:
            parent.rmdir()
        except OSError:
            return


def _train(
    plan: RunPlan,
    make_agent: MakeAgent,
    freeze: Freeze,
    on_progress: Callable[[Progress], None],
    on_stop: Callable[[], None],
    tell: Callable[[str], None],
) -> Outcome:
    torch.set_num_threads(plan.threads)
    begun = starting.start(plan, tell)
    make_env = strategies.prepared(plan.make_env, begun.verdict.strategy)
    agent = make_agent(make_env, plan.training, seeding.training_seed(plan.seed))
    files.write_text(plan.folder / paths.RUN_CONFIG, plan.config_text)
    recorder = Recorder(plan, agent, freeze, begun, on_progress, tell)
    recorder.write_card(runs.RUNNING)
    try:
        with recorder, stop_on_signal(recorder, on_stop), watching.watched(plan.answer_within_s):
            if recorder.ended is None:
                agent.learn(plan.training.steps, recorder)
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
        crash.write(plan, error, recorder.step, recorder.saved_step, tell)
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

"""Where a training begins: at step 0, or at the newest checkpoint that is whole."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from rl_lab import checkpoints, paths, provenance, runs
from rl_lab.checkpoints import Checkpoint
from rl_lab.errors import Unanswered
from rl_lab.states import probing
from rl_lab.states.probing import Verdict
from rl_lab.states.strategies import BARRIER, RESET
from rl_lab.training import warm_start, watching
from rl_lab.training.plan import Work
from rl_lab.training.promise import EQUIVALENT, Promise

CPU = "cpu"


@dataclasses.dataclass(frozen=True)
class Start:
    """How a training begins.

    Attributes:
        checkpoint: Where it goes on; None begins at step 0.
        verdict: How the states of environments are kept.
        promise: What holds for an interruption.
        fault: What went wrong before anything could be learned; None is nothing.
    """

    checkpoint: Checkpoint | None
    verdict: Verdict
    promise: Promise
    fault: Unanswered | None

    def card(self) -> dict[str, Any]:
        """The same for `run.json`."""
        return {
            "level": self.promise.level,
            "reasons": list(self.promise.reasons),
            "environment_state": self.verdict.strategy,
            "environment_state_reasons": list(self.verdict.reasons),
        }


def made_with(plan: Work) -> dict[str, Any]:
    """What must be the same for equal bits."""
    machine = provenance.machine()
    device = plan.training.device
    return {
        "versions": provenance.versions(),
        "system": machine["system"],
        "processor": machine["processor"],
        "threads": plan.threads,
        **({} if device == CPU else {"device": _full_name(device)}),
    }


def _full_name(device: str) -> str:
    """A device's name with that of the card behind it; the agent refuses what is not there."""
    try:
        return f"{device} ({torch.cuda.get_device_name(device)})"
    except (RuntimeError, AssertionError, ValueError):
        return device


def start(plan: Work, tell: Callable[[str], None]) -> Start:
    """Find where to begin, and take away what came after that.

    Args:
        plan: The training; its folder is held by this process.
        tell: Told what a user should know, a line at a time.
    """
    root = plan.folder / paths.CHECKPOINTS
    checkpoints.clean(root)
    found, skipped = checkpoints.newest(root, plan.identity)
    for damage in skipped:
        tell(f"skipped {damage.folder.name}: it {damage.reason}; set aside as damaged-*")
        checkpoints.set_aside(damage.folder)
    if found is None:
        runs.clear(plan.folder)
        verdict, fault = _probed(plan)
        begun = _judged(None, verdict, plan, fault)
    else:
        begun = _judged(found, Verdict(**_tuples(found.manifest["verdict"])), plan)
        _put_back(found, plan.folder)
        tell(f"continuing from step {found.step} of {plan.steps}")
    return begun


def _probed(plan: Work) -> tuple[Verdict, Unanswered | None]:
    """How environments can be brought back, and their fault where they hang when that is tried."""
    way = plan.training.vectorization
    if way != "sync":
        # Their states lie in other processes, or in a class that nobody here knows.
        why = f"training.vectorization={way} keeps environments' states out of reach"
        return Verdict(RESET, False, (why,)), None
    try:
        with watching.watched(plan.answer_within_s):
            return probing.probe(plan.make_env, plan.training.wrappers), None
    except Unanswered as fault:
        return Verdict(RESET, False, ("no answer",), fails=True), fault


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**data, "reasons": tuple(data["reasons"])}


def _judged(
    found: Checkpoint | None, verdict: Verdict, plan: Work, fault: Unanswered | None = None
) -> Start:
    reasons = []
    if not verdict.exact and plan.training.vectorization != "sync":
        reasons.append(verdict.reasons[-1])
    elif not verdict.exact:
        what = "fails when it is tried" if verdict.fails else "does not repeat itself"
        reasons.append(f"the environment {what} ({verdict.reasons[-1]})")
    if plan.training.device != CPU:
        reasons.append(f"training.device={plan.training.device} need not add in one order")
    if plan.training.parallel_updates:
        reasons.append("training.parallel_updates lets two threads draw from one random stream")
    if plan.training.seconds is not None:
        reasons.append("training.seconds ends it by the clock")
    if found is not None:
        reasons += found.manifest["reasons"]
        reasons += _changes(found.manifest["made_with"], made_with(plan))
    # A reason that an earlier attempt had holds for all that follow.
    return Start(found, verdict, Promise(reasons), fault)


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    old = {**before, **before["versions"]}
    new = {**now, **now["versions"]}
    names = [k for k in dict.fromkeys([*old, *new]) if k != "versions"]
    return [
        f"{name} was {old.get(name, 'absent')} and is {new.get(name, 'absent')}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def tell_promise(plan: Work, begun: Start, tell: Callable[[str], None]) -> None:
    """Say what an interruption would cost, once all that is known that speaks against it."""
    if begun.checkpoint is None and (run := plan.training.warm_start):
        rows = warm_start.replay_rows(Path(run)) if plan.training.warm_start_replay else None
        taken, new = ["networks", "optimiser", "normaliser"], ["counters", "schedules"]
        taken += [] if rows is None else [f"replay buffer ({rows} rows)"]
        new += ["random streams", "replay buffer"] if rows is None else ["random streams"]
        tell(f"weights: {_listed(taken)} are those of {run}; {_listed(new)} begin anew")
    if begun.verdict.strategy == BARRIER:
        tell(
            "episodes cannot be gone on with in this environment: all are cut short every "
            f"{plan.checkpoint.every_steps} steps (checkpoint.every_steps), interrupted or not"
        )
    if begun.promise.level == EQUIVALENT:
        tell(f"resume: equivalent, not exact, as {'; '.join(begun.promise.reasons)}")
    elif begun.checkpoint is not None:
        tell(f"resume: exact (environments by {begun.verdict.strategy})")


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _put_back(found: Checkpoint, run: Path) -> None:
    """Bring the run's other files to where they were when the checkpoint was taken."""
    for path in run.glob(".*"):  # half-written files of a killed process
        path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
    for name in (*runs.POLICIES.values(), paths.PROGRESS):
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    best = found.folder / "best"
    if best.is_dir():
        temporary = run / f".best-{os.getpid()}"
        shutil.copytree(best, temporary)
        os.rename(temporary, run / "best")
    for snapshot in paths.snapshots(run):
        if int(snapshot.name.rpartition("-")[2]) > found.step:
            shutil.rmtree(snapshot)

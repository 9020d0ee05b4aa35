"""Runs in processes that die on purpose, and what must be equal about two runs."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Imported here, so that a forked process need not.
import rl_lab_agents.sb3  # noqa: F401
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rl_lab import cli, freezing, paths, runs  # noqa: F401
from rl_lab.cli import planning
from rl_lab.cli.options import split

WALL_CLOCK = {"time_s", "time/fps", "time/time_elapsed"}


@functools.cache
def _planned(words: tuple[str, ...]) -> Any:
    return planning.plan([*words, "output=planned"], split([])[0])


def attempt(
    words: list[str],
    before: Callable[[], None] = lambda: None,
    kill_after_s: float | None = None,
    log: Path = Path(os.devnull),
) -> int:
    """Train in a process of its own; returns its exit code, negative for a signal.

    Forked, so that nothing is imported anew, and with a plan that was made here, as the
    composition of the configuration takes longer than the training; `before` may arm it to die.

    Args:
        words: The command; its last word is `output=FOLDER`.
        before: Called in the process.
        kill_after_s: Send it SIGKILL after so long; None never.
        log: Receives what it prints.
    """
    *own, output = words
    job = _planned(tuple(own))
    folder = Path(output.removeprefix("output=").strip("'"))
    place = folder / job.plan.folder.relative_to("planned")
    job = dataclasses.replace(job, plan=dataclasses.replace(job.plan, folder=place))

    def train() -> int:
        planning.plan = lambda words, options: job
        return cli.main(["train", "seed=0"])

    return forked(train, before, kill_after_s, log)


def forked(
    act: Callable[[], int],
    before: Callable[[], None] = lambda: None,
    kill_after_s: float | None = None,
    log: Path = Path(os.devnull),
) -> int:
    """Do something in a silent process of its own; returns its exit code, negative for a signal.

    Args:
        act: Gives the exit code.
        before: Called first, in the process; it may arm it to die.
        kill_after_s: Send it SIGKILL after so long; None never.
        log: Receives what it prints.
    """
    child = os.fork()
    if child == 0:
        code = 70
        try:
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1)
            os.dup2(out, 2)
            before()
            code = act()
        finally:
            os._exit(code)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die() -> None:
    """What SIGKILL leaves of a process: nothing is flushed, nothing cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at(owner: Any, name: str, call: int, act: Callable[[], None] = die) -> None:
    """Replace a function by one that does something else at its n-th call, before its own work."""
    real = getattr(owner, name)
    left = call

    def replaced(*args: Any, **keywords: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            act()
        return real(*args, **keywords)

    setattr(owner, name, replaced)


def run_in(output: Path) -> Path:
    """The one run below an output folder."""
    (card,) = output.rglob(paths.RUN_CARD)
    return card.parent


def metrics(run: Path) -> list[dict[str, Any]]:
    """Every log point without its wall-clock columns."""
    lines = (run / paths.RUN_METRICS).read_text().splitlines()
    points = [json.loads(line) for line in lines]
    return [{k: v for k, v in point.items() if k not in WALL_CLOCK} for point in points]


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    tags = set(events.Tags()["scalars"]) - WALL_CLOCK
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


def require_identical(one: Path, other: Path) -> None:
    """Two runs are equal but for the wall clock."""
    a, b = runs.read(one), runs.read(other)
    names = ("status", "steps", "selection", "best_step", "ended", "gradient_updates")
    assert {n: a[n] for n in names} == {n: b[n] for n in names}
    assert metrics(one) == metrics(other)
    assert curves(one) == curves(other)
    for tag, points in curves(other).items():
        steps = [step for step, _ in points]
        assert steps == sorted(set(steps)), f"{tag} has a step twice"
    for policy in ("policy", "best"):
        graph = Path(policy) / paths.POLICY_GRAPH
        assert (one / graph).read_bytes() == (other / graph).read_bytes(), policy
    assert a["state_digest"] is not None
    assert a["state_digest"] == b["state_digest"]

"""What a waiting person sees: live displays in a terminal, plain lines elsewhere."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from rl_lab import paths
from rl_lab.cli.launching import Finished, Local
from rl_lab.cli.planning import Job
from rl_lab.runs import Progress

_PLAIN_EVERY_S = 10.0
_REFRESH_S = 0.5


def console() -> Console:
    """Where displays go; results go to stdout, so that a pipe stays clean."""
    return Console(stderr=True)


@contextlib.contextmanager
def of_run(steps: int) -> Iterator[Callable[[Progress], None]]:
    """Show one run's progress; yields the function to tell it to."""
    screen = console()
    if not screen.is_terminal:
        yield _plain_lines(screen)
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} steps/s"),
        TimeRemainingColumn(),
        TextColumn("return {task.fields[episode_return]}"),
    )
    with Bars(*columns, console=screen) as bars:
        bar = bars.add_task("", total=steps, rate="-", episode_return="-")

        def tell(progress: Progress) -> None:
            bars.update(
                bar,
                completed=min(progress.step, steps),
                rate=f"{progress.steps_per_second:.0f}",
                episode_return=_number(progress.episode_return),
            )

        yield tell
        bars.update(bar, completed=steps)


def _plain_lines(screen: Console) -> Callable[[Progress], None]:
    last = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < _PLAIN_EVERY_S:
            return
        last = time.monotonic()
        screen.print(
            f"step {progress.step}/{progress.steps}, {progress.steps_per_second:.0f} steps/s, "
            f"return {_number(progress.episode_return)}, {_left(progress)} left",
            highlight=False,
        )

    return tell


def _number(number: float | None) -> str:
    return "-" if number is None else f"{number:.1f}"


def _left(progress: Progress) -> str:
    if not progress.steps_per_second:
        return "-"
    seconds = int(max(0, progress.steps - progress.step) / progress.steps_per_second)
    return f"{seconds // 60}:{seconds % 60:02d}"


@contextlib.contextmanager
def of_episodes(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many episodes of how many are done."""
    screen = console()
    if not screen.is_terminal:
        last = [time.monotonic()]

        def say(done: int, total: int) -> None:
            if time.monotonic() - last[0] >= _PLAIN_EVERY_S:
                last[0] = time.monotonic()
                screen.print(f"{label}: {done}/{total} episodes", highlight=False)

        yield say
        return
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=screen) as bars:
        bar = bars.add_task("", total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def of_sweep(jobs: Sequence[Job], launcher: Local) -> list[Finished]:
    """Run jobs on a launcher under one live table; Ctrl-C stops them and returns what ended."""
    finished: list[Finished] = []
    screen = console()
    pending = launcher.launch(jobs, finished.append)
    try:
        if screen.is_terminal:
            with Live(console=screen, refresh_per_second=4) as live:
                _wait(pending, lambda: live.update(_table(jobs, finished)), _REFRESH_S)
        else:
            _wait(pending, _changes(screen, jobs, finished), _REFRESH_S)
    except KeyboardInterrupt:
        screen.print("stopping: waiting for the running jobs")
        launcher.stop()
    return finished


def _wait(
    pending: Sequence[concurrent.futures.Future[None]], show: Callable[[], None], every_s: float
) -> None:
    left = set(pending)
    while left:
        done, left = concurrent.futures.wait(left, timeout=every_s)
        show()
        for future in done:
            future.result()


def _changes(screen: Console, jobs: Sequence[Job], finished: list[Finished]) -> Callable[[], None]:
    """Without a terminal: a line for each job that ended, and one now and then."""
    told, last = 0, time.monotonic()

    def show() -> None:
        nonlocal told, last
        for done in finished[told:]:
            told += 1
            screen.print(f"[{told}/{len(jobs)}] {done.job.name}: {done.status}", highlight=False)
        if time.monotonic() - last >= _PLAIN_EVERY_S:
            last = time.monotonic()
            for job in jobs:
                beat = _heartbeat(job.plan.folder)
                if beat and not any(done.job is job for done in finished):
                    screen.print(
                        f"{job.name}: step {beat['step']}/{beat['steps']}, "
                        f"{beat['steps_per_second']:.0f} steps/s, "
                        f"return {_number(beat['episode_return'])}",
                        highlight=False,
                    )

    return show


def _table(jobs: Sequence[Job], finished: Sequence[Finished]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "state", "steps", "steps/s", "return", "left"):
        table.add_column(heading, justify="left" if heading in ("run", "state") else "right")
    states = {id(done.job): done.status for done in finished}
    for job in jobs:
        beat = _heartbeat(job.plan.folder)
        state = states.get(id(job)) or ("running" if beat else "waiting")
        total = job.plan.training.steps
        if state == "complete":
            table.add_row(job.name, state, f"{total}/{total}", *_rate(beat), "0:00")
        elif beat is None or state == "failed":
            table.add_row(job.name, state, "-", "-", "-", "-")
        else:
            left = _left(Progress(**{k: v for k, v in beat.items() if k != "updated"}))
            table.add_row(job.name, state, f"{beat['step']}/{total}", *_rate(beat), left)
    return table


def _rate(beat: dict[str, Any] | None) -> tuple[str, str]:
    if beat is None:
        return "-", "-"
    return f"{beat['steps_per_second']:.0f}", _number(beat["episode_return"])


def _heartbeat(folder: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads((folder / paths.PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data

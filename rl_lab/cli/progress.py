"""What a waiting person sees: live displays in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from rl_lab.runs import Progress

PLAIN_EVERY_S = 10.0


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
                episode_return=number(progress.episode_return),
            )

        yield tell
        bars.update(bar, completed=steps)


def _plain_lines(screen: Console) -> Callable[[Progress], None]:
    last = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < PLAIN_EVERY_S:
            return
        last = time.monotonic()
        screen.print(
            f"step {progress.step}/{progress.steps}, {progress.steps_per_second:.0f} steps/s, "
            f"return {number(progress.episode_return)}, {left(progress)} left",
            highlight=False,
        )

    return tell


def on_stop() -> None:
    """Say that a signal was heard."""
    print("stopping at the next update; another Ctrl-C stops at once", file=sys.stderr)


def say(line: str) -> None:
    """Say what a user should know about a training that is under way."""
    print(f"rl-lab: {line}" if line.startswith("warning") else line, file=sys.stderr)


def number(value: float | None) -> str:
    """A number for a table, or a dash."""
    return "-" if value is None else f"{value:.1f}"


def left(progress: Progress) -> str:
    """Minutes and seconds to go at the present pace."""
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
            if time.monotonic() - last[0] >= PLAIN_EVERY_S:
                last[0] = time.monotonic()
                screen.print(f"{label}: {done}/{total} episodes", highlight=False)

        yield say
        return
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=screen) as bars:
        bar = bars.add_task("", total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)

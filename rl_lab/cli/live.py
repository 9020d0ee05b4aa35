"""Jobs of a launcher under one live table; plain lines where there is no terminal."""

from __future__ import annotations

import collections
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from rl_lab import paths
from rl_lab.cli.launching import Finished, Job, Launcher
from rl_lab.cli.progress import PLAIN_EVERY_S, console, left, number
from rl_lab.runs import Progress

_REFRESH_S = 0.5
_SHARE_OF_LOOKING = 0.1  # of the time, where looking at many jobs takes long
_ORDER = ("running", "failed", "interrupted", "waiting", "complete")
_PLAIN_JOBS = 20  # that a plain line each is worth


def run(jobs: Sequence[Job], launcher: Launcher) -> list[Finished]:
    """Run jobs on a launcher and show them; Ctrl-C stops them and returns what ended."""
    finished: list[Finished] = []
    board = _Board(jobs)
    screen = console()
    launcher.launch(jobs)
    try:
        if screen.is_terminal:
            with Live(board.table(screen.height), console=screen, auto_refresh=False) as live:
                for new in _polled(launcher):
                    finished += new
                    if board.look(new):
                        live.update(board.table(screen.height), refresh=True)
        else:
            for new in _polled(launcher):
                finished += new
                board.tell(new, screen)
    except KeyboardInterrupt:
        screen.print("stopping: waiting for the running jobs")
        launcher.stop()
        finished += launcher.poll(0.0)
    return finished


def _polled(launcher: Launcher) -> Any:
    while launcher.busy:
        yield launcher.poll(_REFRESH_S)


class _Board:
    """What is known of each job: how it ended, or the heartbeat in its folder."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._ended: dict[Path, str] = {}
        # A heartbeat that was there before is an earlier attempt's.
        self._earlier = {job.folder: heartbeat(job.folder) for job in jobs}
        self._beats: dict[Path, dict[str, Any]] = {}
        self._next_look = self._last_line = time.monotonic()
        self._told = 0

    def look(self, new: Sequence[Finished]) -> bool:
        """Take note of ended jobs and of heartbeats, where it is time; whether it was."""
        self._ended |= {done.job.folder: done.status for done in new}
        start = time.monotonic()
        if start < self._next_look and not new:
            return False
        for job in self._jobs:
            if job.folder not in self._ended:
                beat = heartbeat(job.folder)
                if beat is not None and beat != self._earlier[job.folder]:
                    self._beats[job.folder] = beat
        spent = time.monotonic() - start
        self._next_look = time.monotonic() + max(_REFRESH_S, spent / _SHARE_OF_LOOKING)
        return True

    def _state(self, job: Job) -> str:
        default = "running" if job.folder in self._beats else "waiting"
        return self._ended.get(job.folder, default)

    def table(self, height: int) -> Table:
        """The jobs as far as there is room, those that matter most first, and their numbers."""
        counts = collections.Counter(map(self._state, self._jobs))
        told = ", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state])
        table = Table(box=None, pad_edge=False, caption=told, caption_justify="left")
        for heading in ("job", "state", "steps", "steps/s", "return", "left"):
            table.add_column(heading, justify="left" if heading in ("job", "state") else "right")
        room = max(3, height - 4)
        jobs = list(self._jobs)
        if len(jobs) > room:
            jobs.sort(key=lambda job: _ORDER.index(self._state(job)))
        for job in jobs[:room]:
            table.add_row(*self._row(job))
        return table

    def _row(self, job: Job) -> tuple[str, ...]:
        state, beat = self._state(job), self._beats.get(job.folder)
        total = "-" if job.steps is None else str(job.steps)
        if state == "complete":
            done = "-" if job.steps is None else f"{total}/{total}"
            return (job.name, state, done, *_rate(beat), "0:00")
        if beat is None or state == "failed":
            return (job.name, state, "-", "-", "-", "-")
        return (job.name, state, f"{beat['step']}/{total}", *_rate(beat), _left(beat))

    def tell(self, new: Sequence[Finished], screen: Console) -> None:
        """Without a terminal: a line for each job that ended, and some now and then."""
        self.look(new)
        for done in new:
            self._told += 1
            screen.print(
                f"[{self._told}/{len(self._jobs)}] {done.job.name}: {done.status}",
                highlight=False,
                soft_wrap=True,
            )
        if time.monotonic() - self._last_line >= PLAIN_EVERY_S:
            self._last_line = time.monotonic()
            running = [job for job in self._jobs if self._state(job) == "running"]
            for job in running[:_PLAIN_JOBS]:
                beat = self._beats[job.folder]
                rate, episode_return = _rate(beat)
                screen.print(
                    f"{job.name}: step {beat['step']}/{beat['steps']}, {rate} steps/s, "
                    f"return {episode_return}, {_left(beat)} left",
                    highlight=False,
                    soft_wrap=True,
                )


def heartbeat(folder: Path) -> dict[str, Any] | None:
    """What a run's folder says of its progress, or None."""
    try:
        data = json.loads((folder / paths.PROGRESS).read_bytes())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and {"step", "steps"} <= set(data) else None


def _rate(beat: dict[str, Any] | None) -> tuple[str, str]:
    if beat is None:
        return "-", "-"
    return f"{beat.get('steps_per_second') or 0:.0f}", number(beat.get("episode_return"))


def _left(beat: dict[str, Any]) -> str:
    rate = float(beat.get("steps_per_second") or 0)
    return left(Progress(beat["step"], beat["steps"], rate, None, 0.0))

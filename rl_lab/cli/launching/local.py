"""Jobs on this machine: processes, a few at a time."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rl_lab import provenance
from rl_lab.cli import typed
from rl_lab.cli.launching.jobs import Finished, Job
from rl_lab.cli.launching.tracking import Block, cut
from rl_lab.errors import EXIT_INTERRUPTED

_LOOK_EVERY_S = 0.02


class Local:
    """Runs jobs as processes of this machine.

    Args:
        folder: Not used; files of its own are for this process alone.
        jobs: Blocks at once; None is one per core.
        block: Jobs per process, one after the other; start-up is paid once.

    Raises:
        BadInput: A number is not above zero.
    """

    def __init__(self, folder: Path, jobs: int | None, block: int) -> None:
        cores = provenance.available_cores()
        self._at_once = cores if jobs is None else typed.positive_int(jobs, "launcher.jobs")
        self._size = typed.positive_int(block, "launcher.block")
        self._folder = tempfile.TemporaryDirectory(prefix="rl-lab-jobs-")
        self._waiting: list[Block] = []
        self._running: list[tuple[subprocess.Popen[str], Block]] = []

    def launch(self, jobs: Sequence[Job]) -> None:
        """Start the jobs as places become free."""
        self._waiting += cut(jobs, self._size, Path(self._folder.name))
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._at_once:
            block = self._waiting.pop(0)
            # A session of its own: Ctrl-C reaches this process alone, which then stops the jobs.
            process = subprocess.Popen(
                [sys.executable, "-m", "rl_lab.cli.launching.block"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=block.environment(),
                text=True,
            )
            assert process.stdin is not None
            # One that died at once cannot read; its end will be noticed below.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(block.text())
                process.stdin.close()
            self._running.append((process, block))

    def poll(self, wait_s: float) -> list[Finished]:
        """The jobs that ended since the last call; waits for the first of them, but not longer."""
        until = time.monotonic() + wait_s
        while True:
            found = self._ended()
            if found or time.monotonic() >= until:
                return found
            time.sleep(_LOOK_EVERY_S)

    def _ended(self) -> list[Finished]:
        found: list[Finished] = []
        for process, block in list(self._running):
            code = process.poll()
            found += block.ended()
            if code is not None:
                # A signal that hit the process of the block took the running job along.
                known = code if code < 0 or code == EXIT_INTERRUPTED else None
                found += block.ended() + block.lost(known, "its process died")
                self._running.remove((process, block))
        self._fill()
        return found

    @property
    def busy(self) -> bool:
        """Whether jobs have not ended yet."""
        return bool(self._running or self._waiting)

    def stop(self) -> None:
        """Ask all running jobs to stop, start no more, and wait for them."""
        self._waiting.clear()
        for process, _ in self._running:
            process.terminate()
        for process, _ in self._running:
            process.wait()

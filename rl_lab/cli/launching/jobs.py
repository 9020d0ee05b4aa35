"""A job, how it ended, and what a launcher is."""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from rl_lab.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED

# Ask a job to stop. A cluster sends the last two before a time limit, to every process of a job.
STOPPING = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)


@dataclasses.dataclass(frozen=True)
class Job:
    """One command for a launcher.

    Attributes:
        words: The command after `rl-lab`.
        folder: Where its heartbeat appears.
        log: What it prints is added here.
        name: For tables.
        threads: CPU threads it computes with.
        steps: Its budget in environment steps; None where it counts none.
        preload: Modules that it will import, for blocks of jobs to share.
    """

    words: tuple[str, ...]
    folder: Path
    log: Path
    name: str
    threads: int
    steps: int | None
    preload: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Finished:
    """A job that has ended.

    Attributes:
        job: Which.
        code: Its exit code; negative where a signal ended it; None where nobody can say.
        cause: Why there is no code.
    """

    job: Job
    code: int | None
    cause: str = ""

    @property
    def status(self) -> str:
        """One word for tables."""
        if self.code == EXIT_DONE:
            return "complete"
        # Asked to stop while it was still starting, a process dies of the signal itself.
        stopped = (EXIT_INTERRUPTED, -signal.SIGTERM, -signal.SIGINT)
        return "interrupted" if self.code in stopped else "failed"

    def reason(self) -> str:
        """The last line of the log that explains anything, or how the process ended."""
        if self.code is None:
            return self.cause
        if self.code < 0:
            return f"killed by signal {-self.code}"
        try:
            lines = self.job.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return f"exit code {self.code}"
        # Ours are the lines that explain; anything else is just what was printed last.
        said = [line for line in lines if line.startswith("rl-lab: ") and "warning" not in line]
        return said[-1] if said else f"the process ended with exit code {self.code}"


def tell_failed(finished: Iterable[Finished]) -> list[Finished]:
    """Say on standard error which jobs failed, why, and where they wrote; returns them."""
    failed = [done for done in finished if done.status == "failed"]
    for done in failed:
        print(f"failed: {done.job.name}: {done.reason()} (log: {done.job.log})", file=sys.stderr)
    return failed


def left(jobs: Sequence[Job], finished: Sequence[Finished]) -> int:
    """How many jobs were stopped on their way, those that never began included."""
    return len(jobs) - len(finished) + sum(done.status == "interrupted" for done in finished)


def told(jobs: Sequence[Job], finished: Sequence[Finished]) -> int:
    """Say which jobs failed; the exit code of the command that asked for these jobs."""
    failed = tell_failed(finished)
    if left(jobs, finished):
        return EXIT_INTERRUPTED
    return EXIT_FAILED if failed else EXIT_DONE


class Launcher(Protocol):
    """Runs jobs somewhere; a job that fails or dies costs itself alone."""

    def launch(self, jobs: Sequence[Job]) -> None:
        """Start the jobs as places become free.

        Raises:
            BadInput: Jobs cannot be run there at all; nothing was started.
        """

    def poll(self, wait_s: float) -> list[Finished]:
        """The jobs that ended since the last call; waits for the first of them, but not longer."""

    @property
    def busy(self) -> bool:
        """Whether jobs have not ended yet."""

    def stop(self) -> None:
        """Ask all running jobs to stop, start no more, and wait for them."""

"""Jobs on this machine: each an `rl-lab train` of its own, so that none can hurt another."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from rl_lab import paths
from rl_lab.cli.planning import Job
from rl_lab.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED


@dataclasses.dataclass(frozen=True)
class Finished:
    """A job that has ended.

    Attributes:
        job: Which.
        code: Its exit code; negative where a signal ended it.
        log: What it printed.
    """

    job: Job
    code: int
    log: Path

    @property
    def status(self) -> str:
        """One word for tables."""
        if self.code == EXIT_DONE:
            return "complete"
        # Asked to stop while it was still starting, a process dies of the signal itself.
        stopped = (EXIT_INTERRUPTED, -signal.SIGTERM, -signal.SIGINT)
        return "interrupted" if self.code in stopped else "failed"

    def reason(self) -> str:
        """The last line of the log that says anything, or how the process ended."""
        if self.code < 0:
            return f"killed by signal {-self.code}"
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return f"exit code {self.code}"
        # Ours are the lines that explain; anything else is just what was printed last.
        said = [line for line in lines if line.startswith("rl-lab: ") and "warning" not in line]
        return said[-1] if said else f"the process ended with exit code {self.code}"


class Local:
    """Runs jobs as processes of this machine, a few at a time.

    Args:
        jobs_at_once: How many.
        flags: Options that every job needs, such as `--config-dir`.
    """

    def __init__(self, jobs_at_once: int, flags: Sequence[str]) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(jobs_at_once)
        self._flags = list(flags)
        self._running: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._stopping = False

    def launch(
        self, jobs: Sequence[Job], on_finished: Callable[[Finished], None]
    ) -> list[concurrent.futures.Future[None]]:
        """Start all jobs as places become free.

        Args:
            jobs: What to run.
            on_finished: Called from the pool's threads as each job ends.
        """
        return [self._pool.submit(self._run, job, on_finished) for job in jobs]

    def _run(self, job: Job, on_finished: Callable[[Finished], None]) -> None:
        log = job.plan.folder / paths.RUN_LOG
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as file:
                code = self._process(job, file)
        except OSError:
            code = EXIT_FAILED
        on_finished(Finished(job, code, log))

    def _process(self, job: Job, log: IO[bytes]) -> int:
        command = [sys.executable, "-m", "rl_lab", "train", *job.words, *self._flags]
        environment = {**os.environ, "OMP_NUM_THREADS": str(job.plan.threads)}
        with self._lock:
            if self._stopping:
                return EXIT_INTERRUPTED
            # A group of its own: Ctrl-C reaches the parent alone, which then stops the jobs.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
            self._running.append(process)
        code = process.wait()
        self._running.remove(process)
        return code

    def stop(self) -> None:
        """Ask all running jobs to stop, start no more, and wait for them."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._stopping = True
            for process in self._running:
                process.terminate()
        self._pool.shutdown(wait=True)

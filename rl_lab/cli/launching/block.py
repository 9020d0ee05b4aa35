"""Jobs one after the other in a process each; what they import is imported once.

`python -m rl_lab.cli.launching.block` reads a block as JSON from its input: every launcher starts
it, on whatever machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from rl_lab.cli.launching.jobs import STOPPING, Job
from rl_lab.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED

_PR_SET_PDEATHSIG = 1


def to_text(jobs: Sequence[Job], results: Path) -> str:
    """A block as it travels.

    Args:
        jobs: In this order.
        results: File to which `index code` is added as each ends.
    """
    data = [{"words": j.words, "log": str(j.log), "preload": j.preload} for j in jobs]
    return json.dumps({"jobs": data, "results": str(results)})


def read_results(results: Path) -> dict[int, int]:
    """Exit codes of the jobs that have ended, by their place in the block."""
    try:
        lines = results.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return {}
    # The last line may still be on its way.
    pairs = [line.split() for line in lines if line.endswith("\n")]
    return {int(index): int(code) for index, code in pairs}


def main() -> int:
    """Run the block that comes as JSON; 75 where a signal stopped it."""
    _die_with_parent()
    block = json.load(sys.stdin)
    runner = _Runner(block["jobs"])
    results = Path(block["results"])
    # A block that was stopped and is started again goes on where it was.
    done = read_results(results)
    with results.open("a", encoding="utf-8") as file:
        for index in range(len(block["jobs"])):
            code = EXIT_DONE if index in done else runner.run(index)
            # Whoever stopped the block may start it again: what it stopped has not ended.
            if index not in done and not (runner.stopping and code != EXIT_DONE):
                file.write(f"{index} {code}\n")
                file.flush()
    return EXIT_INTERRUPTED if runner.stopping else 0


class _Runner:
    """Runs jobs of a block; a signal stops the running one and all that would follow."""

    def __init__(self, jobs: Sequence[dict[str, Any]]) -> None:
        self._jobs = jobs
        self._child = 0
        self._may_fork = hasattr(os, "fork")
        self.stopping = False
        for number in STOPPING:
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: object) -> None:
        self.stopping = True
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGTERM)

    def run(self, index: int) -> int:
        """Run one job to its end; its exit code, negative where a signal ended it."""
        if self.stopping:
            return EXIT_INTERRUPTED
        job = self._jobs[index]
        if index < len(self._jobs) - 1 and self._may_fork:
            # Forking is safe only while nothing has started threads.
            self._may_fork = _preload(job["preload"]) and _threads() == 1
        try:
            Path(job["log"]).parent.mkdir(parents=True, exist_ok=True)
            with Path(job["log"]).open("ab") as log:
                return self._forked(job, log) if self._may_fork else self._spawned(job, log)
        except OSError:
            return EXIT_FAILED

    def _forked(self, job: dict[str, Any], log: IO[bytes]) -> int:
        self._child = os.fork()
        if not self._child:
            _be(job, log)
        if self.stopping:  # the signal came before there was a child to hand it to
            os.kill(self._child, signal.SIGTERM)
        _, status = os.waitpid(self._child, 0)
        self._child = 0
        return os.waitstatus_to_exitcode(status)

    def _spawned(self, job: dict[str, Any], log: IO[bytes]) -> int:
        command = [sys.executable, "-m", "rl_lab", *job["words"]]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self._child = process.pid
        if self.stopping:
            process.terminate()
        code = process.wait()
        self._child = 0
        return code


def _preload(modules: Sequence[str]) -> bool:
    """Import what the jobs share; False where that fails, which the job itself will explain."""
    try:
        for module in modules:
            importlib.import_module(module)
    except Exception:
        return False
    return True


def _threads() -> int:
    """Threads of this process, those of libraries included; 0 where the system cannot say."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0


def _be(job: dict[str, Any], log: IO[bytes]) -> None:
    """Become the job; does not return."""
    code = EXIT_FAILED
    try:
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)
        _die_with_parent()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        from rl_lab.cli import main as command

        code = command(job["words"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _die_with_parent() -> None:
    """Ask the system for a SIGTERM when whoever started this process dies, however it does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())

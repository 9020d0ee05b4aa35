"""The other end of a launcher: a block's process on whatever machine was found for it."""

from __future__ import annotations

import os
import subprocess
import sys

from rl_lab.errors import EXIT_DONE, EXIT_INTERRUPTED


class Process:
    """A block as a process of this machine.

    Args:
        text: The block, as `Block.text` gives it.
        folder: Where the command was given; paths are relative to it.
        threads: CPU threads of one job.
    """

    def __init__(self, text: str, folder: str, threads: int) -> None:
        self.asked_to_stop = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rl_lab.cli.launching.block"],
            stdin=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            start_new_session=True,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.close()

    def stop(self, *signal_and_frame: object) -> None:
        """Ask it to stop; a signal handler."""
        self.asked_to_stop = True
        self._process.terminate()

    def wait(self) -> int:
        """Its exit code; an exception that comes meanwhile (a cancelled task) stops it first."""
        try:
            return self._process.wait()
        except BaseException:
            self.stop()
            self._process.wait()
            raise

    @property
    def left_something(self) -> bool:
        """Whether it was stopped before all its jobs had ended."""
        code = self._process.returncode
        # A cluster's signal goes to every process of a job: it may have stopped this one alone.
        return code == EXIT_INTERRUPTED or (self.asked_to_stop and code != EXIT_DONE)

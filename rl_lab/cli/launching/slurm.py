"""Jobs on a SLURM cluster, through submitit; a preempted one is put back into the queue."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab.cli import typed
from rl_lab.cli.launching import node
from rl_lab.cli.launching.jobs import STOPPING, Finished, Job
from rl_lab.cli.launching.tracking import Block, cut
from rl_lab.errors import BadInput, Failed

_ASK_EVERY_S = 2.0
# A file that a node wrote last may be seen here this much later than the queue's word.
_LAG_S = 15.0
_GONE = "cancelled, or its node died, before it ended"


class Slurm:
    """Submits blocks of jobs as one array and follows them in the queue.

    Args:
        folder: Of submitit's files; every node must see it.
        block: Jobs per array element, one after the other.
        jobs: Elements that run at once; None leaves it to the cluster.
        time_min: Limit of one element in minutes.
        notice_s: Seconds before that limit at which jobs are asked to stop; they go on in the queue
            again. SLURM may ask up to a minute earlier.
        restarts: How often an element may go back into the queue.
        setup: Shell lines before the jobs, such as `module load`.
        options: Further options of sbatch: `{partition: gpu, account: mine}`.

    Raises:
        BadInput: A setting is wrong, or this machine has no SLURM commands or no submitit.
    """

    def __init__(
        self,
        folder: Path,
        block: int,
        jobs: int | None,
        time_min: int,
        notice_s: int,
        restarts: int,
        setup: Sequence[str],
        options: Mapping[str, Any],
    ) -> None:
        self._folder = folder.absolute()
        self._size = typed.positive_int(block, "launcher.block")
        self._at_once = None if jobs is None else typed.positive_int(jobs, "launcher.jobs")
        self._time_min = typed.positive_int(time_min, "launcher.time_min")
        self._notice_s = typed.positive_int(notice_s, "launcher.notice_s")
        if self._notice_s >= 60 * self._time_min:
            raise BadInput(
                f"launcher.notice_s={notice_s} with launcher.time_min={time_min}",
                "a notice that is shorter than the time limit",
                "Raise launcher.time_min, or lower launcher.notice_s.",
            )
        self._restarts = typed.value(restarts, int, "launcher.restarts")
        self._setup = typed.value(list(setup), tuple[str, ...], "launcher.setup")
        self._options = dict(typed.value(options, Mapping[str, Any], "launcher.options"))
        self._blocks: dict[str, Block] = {}
        self._left_at: dict[str, float] = {}
        self._next_question = 0.0
        _require_commands()

    def launch(self, jobs: Sequence[Job]) -> None:
        """Submit the jobs, one array for each number of threads.

        Raises:
            BadInput: submitit or SLURM refuses the options; nothing was submitted.
        """
        for threads in sorted({job.threads for job in jobs}):
            blocks = cut([j for j in jobs if j.threads == threads], self._size, self._folder)
            executor = self._executor(threads)
            try:
                with executor.batch():
                    submitted = [
                        executor.submit(on_node, b.text(), os.getcwd(), threads, self._restarts)
                        for b in blocks
                    ]
            except Exception as error:
                self.stop()
                raise BadInput(
                    f"SLURM refuses the jobs: {' '.join(str(error).split())[:300]}",
                    "options that sbatch takes",
                    "Look at launcher.options.",
                ) from error
            ids = [str(job.job_id) for job in submitted]
            self._blocks |= dict(zip(ids, blocks, strict=True))

    def _executor(self, threads: int) -> Any:
        import submitit

        executor = submitit.SlurmExecutor(folder=self._folder / "slurm")
        settings: dict[str, Any] = {
            "job_name": "rl-lab",
            "time": self._time_min,
            "signal_delay_s": self._notice_s,
            "cpus_per_task": threads,
            "ntasks_per_node": 1,
            "setup": list(self._setup),
            "additional_parameters": {"requeue": True, **self._options},
        }
        if self._at_once is not None:
            settings["array_parallelism"] = self._at_once
        executor.update_parameters(**settings)
        return executor

    def poll(self, wait_s: float) -> list[Finished]:
        """The jobs that ended since the last call; waits for the first of them, but not longer."""
        until = time.monotonic() + wait_s
        while True:
            found = self._ended()
            if found or time.monotonic() >= until:
                return found
            time.sleep(0.1)

    def _ended(self) -> list[Finished]:
        found: list[Finished] = []
        queued = self._queued()
        for identity, block in list(self._blocks.items()):
            found += block.ended()
            if queued is None:
                continue
            if identity in queued:
                self._left_at.pop(identity, None)
                continue
            left_at = self._left_at.setdefault(identity, time.monotonic())
            if block.over or time.monotonic() - left_at >= _LAG_S:
                found += block.lost(None, _GONE)
                del self._blocks[identity], self._left_at[identity]
        return found

    def _queued(self) -> set[str] | None:
        """Elements that wait or run; None where it is not time to ask, or nobody answers."""
        if time.monotonic() < self._next_question:
            return None
        self._next_question = time.monotonic() + _ASK_EVERY_S
        arrays = {identity.partition("_")[0] for identity in self._blocks}
        done = _command("squeue", "--noheader", "--array", "-o", "%i", "-j", ",".join(arrays))
        if done.returncode:
            return set() if "Invalid job id" in done.stderr else None
        return set(done.stdout.split())

    @property
    def busy(self) -> bool:
        """Whether jobs have not ended yet."""
        return bool(self._blocks)

    def stop(self) -> None:
        """Cancel what waits and runs; what runs is given SLURM's KillWait to stop."""
        if not self._blocks:
            return
        _command("scancel", *self._blocks)
        until = time.monotonic() + 60.0
        while time.monotonic() < until:
            self._next_question = 0.0
            queued = self._queued()
            if queued is not None and not queued & set(self._blocks):
                return
            time.sleep(0.5)


def _require_commands() -> None:
    for command in ("sbatch", "squeue", "scancel", "srun"):
        if shutil.which(command) is None:
            raise BadInput(
                f"launcher=slurm: this machine has no {command}",
                "a machine that submits to a SLURM cluster",
                "Give the command on the cluster's login node, or take launcher=local.",
            )
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise BadInput(
            "launcher=slurm needs submitit", "the extra", 'Run: pip install "rl-lab[slurm]"'
        ) from error


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


def on_node(text: str, folder: str, threads: int, restarts: int) -> None:
    """Run a block on a node; stopped by a preemption or the time limit, it is queued again."""
    process = node.Process(text, folder, threads)
    for number in STOPPING:
        signal.signal(number, process.stop)
    process.wait()
    if process.left_something and int(os.environ.get("SLURM_RESTART_COUNT", "0")) < restarts:
        _requeue()


def _requeue() -> None:
    """Back into the queue, unless this job was cancelled."""
    array, element = (os.environ.get(f"SLURM_ARRAY_{n}_ID") for n in ("JOB", "TASK"))
    identity = f"{array}_{element}" if array else os.environ["SLURM_JOB_ID"]
    state = _command("squeue", "--noheader", "--array", "-o", "%T", "-j", identity).stdout.strip()
    if state == "RUNNING":
        done = _command("scontrol", "requeue", identity)
        if done.returncode:
            raise Failed(f"scontrol requeue {identity}: {done.stderr.strip()}")
        # SLURM ends this process; ending by itself it would be over instead of queued.
        time.sleep(60.0)

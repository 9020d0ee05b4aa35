"""Worker processes that share out tasks; each runs one environment, one decision at a time.

A worker that raises, dies or hangs costs the policy it was running, and nothing else.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import multiprocessing.connection
import multiprocessing.sharedctypes
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from rl_lab.evaluation.plan import Failure, Task
from rl_lab.evaluation.working import Engine, work

_POLL_S = 0.2


def run_tasks(
    tasks: Iterable[Task],
    engine: Engine,
    workers: int,
    on_record: Callable[[Any], None],
) -> list[Failure]:
    """Run all tasks on `workers` processes.

    Args:
        tasks: The work.
        engine: How to run it.
        workers: Number of processes.
        on_record: Called in this process with each finished episode, in no particular order.

    Returns:
        One failure per policy that could not be evaluated; the rest of its tasks is left out.
    """
    pool = _Pool(deque(tasks), engine, on_record)
    try:
        for _ in range(max(1, min(workers, len(pool.waiting)))):
            pool.start()
        while pool.busy:
            pool.step()
    finally:
        pool.close()
    return list(pool.failures.values())


class _Worker:
    """A process, the pipe to it, its task, and where it is within that."""

    def __init__(self, engine: Engine) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, remote = context.Pipe()
        # Evaluation seed and step, written by the worker without a message per step.
        self.place = multiprocessing.sharedctypes.RawArray(ctypes.c_int64, 2)
        self.process = context.Process(
            target=work, args=(remote, self.place, engine), daemon=True, name="rl-lab-episodes"
        )
        self.process.start()
        remote.close()
        self.task: Task | None = None
        self._seen, self._since = (0, 0), time.monotonic()

    def stalled_s(self) -> float:
        """Seconds since the worker's place last changed."""
        place = (self.place[0], self.place[1])
        if place != self._seen or self.task is None:
            self._seen, self._since = place, time.monotonic()
        return time.monotonic() - self._since

    def give(self, task: Task) -> None:
        """Hand over a task."""
        self.task, self._since = task, time.monotonic()
        self.pipe.send(task)


class _Pool:
    def __init__(
        self, waiting: deque[Task], engine: Engine, on_record: Callable[[Any], None]
    ) -> None:
        self.waiting = waiting
        self.failures: dict[tuple[str, int], Failure] = {}
        self._engine, self._on_record = engine, on_record
        self._workers: list[_Worker] = []

    @property
    def busy(self) -> bool:
        return any(worker.task is not None for worker in self._workers)

    def start(self) -> None:
        worker = _Worker(self._engine)
        self._workers.append(worker)
        self._feed(worker)

    def _feed(self, worker: _Worker) -> None:
        worker.task = None
        while self.waiting:
            task = self.waiting.popleft()
            if (task.contestant, task.training_seed) not in self.failures:
                try:
                    worker.give(task)
                except OSError:
                    self._lost(worker, "died")
                return

    def step(self) -> None:
        """Take what workers have to say, and look after those that say nothing."""
        pipes = {worker.pipe: worker for worker in self._workers}
        for ready in multiprocessing.connection.wait(list(pipes), _POLL_S):
            self._hear(pipes[ready])  # type: ignore[index]
        for worker in list(self._workers):
            if worker.stalled_s() > self._engine.step_timeout_s:
                self._lost(worker, f"did not answer within {self._engine.step_timeout_s:g} s")

    def _hear(self, worker: _Worker) -> None:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(5)
            self._lost(worker, f"died with exit code {worker.process.exitcode}")
            return
        if message is not None and not isinstance(message, str):
            self._on_record(message)
            return
        if message is not None:
            self._fail(worker, message)
        self._feed(worker)

    def _lost(self, worker: _Worker, what: str) -> None:
        seed, step = worker.place
        if worker.task is not None:
            self._fail(worker, f"the worker {what} at step {step} of the episode with seed {seed}")
        self._workers.remove(worker)
        worker.process.kill()
        worker.process.join()
        if self.waiting:
            self.start()

    def _fail(self, worker: _Worker, message: str) -> None:
        task = worker.task
        assert task is not None
        key = (task.contestant, task.training_seed)
        self.failures.setdefault(key, Failure(*key, f"{message} [{task.context}]"))

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()

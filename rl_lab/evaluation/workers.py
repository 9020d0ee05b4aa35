"""Worker processes that share out tasks; each runs one environment, one decision at a time.

A worker that raises, dies or hangs costs the policy it was running, and nothing else.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import multiprocessing
import multiprocessing.connection
import multiprocessing.sharedctypes
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from rl_lab import episodes, shifts
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput, LabError
from rl_lab.evaluation.plan import Failure, Task
from rl_lab.frozen_policy import FrozenPolicy, load_policy
from rl_lab.records import EpisodeRecord
from rl_lab.shifts import NOMINAL, Context

_POLL_S = 0.2
_START_S = 20.0  # for a process to import what it needs


@dataclasses.dataclass(frozen=True)
class Engine:
    """How episodes are run.

    Attributes:
        reuse: A used environment may be reset for the next episode (proven exact).
        step_limit: For environments without a limit of their own.
        step_timeout_s: A step that takes longer counts as hanging.
        imports: Packages that register environments.
        live: Lives one episode and says what came of it: task, policy, environment, seed, step
            limit, and whom to tell the steps so far. It travels to other processes.
    """

    reuse: bool
    step_limit: int
    step_timeout_s: float
    imports: tuple[str, ...]
    live: Callable[[Task, FrozenPolicy, Any, int, int, Callable[[int], None]], Any]


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


@dataclasses.dataclass(frozen=True)
class Probe:
    """What a try of the environment showed.

    Attributes:
        reuse: A used environment, reset with a seed, goes on exactly as a fresh one does.
        problem: Why a context is not what it is declared to be; None where nothing was found.
    """

    reuse: bool
    problem: BadInput | None


def probe(
    recipe: EnvironmentRecipe,
    contexts: Sequence[Context],
    imports: tuple[str, ...],
    timeout_s: float,
) -> Probe:
    """Try in a process of its own whether environments can be reused, and whether shifts shift.

    An environment that dies, hangs or raises there proves nothing; the episodes will show why.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_probe, args=(there, recipe, contexts, imports), daemon=True)
    process.start()
    there.close()
    found = Probe(reuse=False, problem=None)
    try:
        # One message per thing tried, so that each of them has its own time.
        while here.poll(timeout_s + _START_S):
            message = here.recv()
            if message is None:
                return found
            found = message
        return Probe(reuse=False, problem=found.problem)
    except EOFError:
        return Probe(reuse=False, problem=found.problem)
    finally:
        process.kill()
        process.join()


def _probe(
    pipe: Any, recipe: EnvironmentRecipe, contexts: Sequence[Context], imports: tuple[str, ...]
) -> None:
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    # MuJoCo's compiler complains anew of every model that is made, and here many are.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    reuse = True
    for context in [NOMINAL, *contexts]:
        problem = shifts.fault(recipe, context, imports) if context.parts else None
        if problem is not None:
            pipe.send(Probe(reuse, problem))
            break
        make = functools.partial(shifts.make, recipe, context, None, imports)
        reuse = reuse and episodes.reuse_is_exact(recipe, make)
        pipe.send(Probe(reuse, None))
    pipe.send(None)


class _Worker:
    """A process, the pipe to it, its task, and where it is within that."""

    def __init__(self, engine: Engine) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, remote = context.Pipe()
        # Evaluation seed and step, written by the worker without a message per step.
        self.place = multiprocessing.sharedctypes.RawArray(ctypes.c_int64, 2)
        self.process = context.Process(
            target=_work, args=(remote, self.place, engine), daemon=True, name="rl-lab-episodes"
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


def _work(pipe: Any, place: Any, engine: Engine) -> None:
    """The worker's life: tasks in, records out, None (or a message) after each task."""
    # Ctrl-C is the parent's to handle; it ends the workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    runner = _Runner(engine, place)
    while True:
        try:
            task = pipe.recv()
            for record in runner.run(task):
                pipe.send(record)
            pipe.send(None)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # the parent is gone
        except LabError as error:
            pipe.send(str(error))
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")


class _Runner:
    """Keeps the last policy and, where that is exact, the last environment."""

    def __init__(self, engine: Engine, place: Any) -> None:
        self._engine, self._place = engine, place
        self._policies: dict[str, FrozenPolicy] = {}
        self._env: tuple[Any, Any] = (None, None)

    def run(self, task: Task) -> Iterable[Any]:
        policy = self._policies.get(str(task.folder)) or load_policy(task.folder)
        self._policies = {str(task.folder): policy}
        place = self._place

        def note(step: int) -> None:
            place[1] = step

        for seed in task.evaluation_seeds:
            place[0], place[1] = seed, 0
            env = self._environment(task, policy)
            limit = episodes.step_limit(env, self._engine.step_limit)
            yield self._engine.live(task, policy, env, seed, limit, note)

    def _environment(self, task: Task, policy: FrozenPolicy) -> Any:
        """A fresh environment, or the used one of the same context where that is as good."""
        key = (EnvironmentRecipe.from_data(policy.card.environment), task.context)
        if self._engine.reuse and self._env[0] == key:
            return self._env[1]
        if self._env[1] is not None:
            self._env[1].close()
        self._env = (None, None)
        env = episodes.make_for(policy, imports=self._engine.imports, context=task.context)
        self._env = (key, env)
        return env


def live(
    task: Task,
    policy: FrozenPolicy,
    env: Any,
    seed: int,
    limit: int,
    note: Callable[[int], None],
) -> EpisodeRecord:
    """Live one plain episode; see `Engine.live`."""
    episode = episodes.run_episode(env, policy, seed, limit, note)
    return EpisodeRecord(
        contestant=task.contestant,
        training_seed=task.training_seed,
        environment=str(policy.card.environment["id"]),
        shift=task.context.shift_name,
        delta=task.context.delta,
        schedule=task.context.schedule_name,
        evaluation_seed=seed,
        episode_return=episode.episode_return,
        length=episode.length,
        terminated=episode.terminated,
        truncated=episode.truncated,
    )


class Keyed(Protocol):
    """A record that says what was evaluated: contestant, training seed, world, evaluation seed."""

    @property
    def key(self) -> tuple[str, int, tuple[str, float, str], int]:
        """As `EpisodeRecord.key`."""


def without_done(tasks: Sequence[Task], done: Iterable[Keyed]) -> list[Task]:
    """The tasks less the episodes that have been run already."""
    keys = {record.key for record in done}
    left = []
    for task in tasks:
        seeds = tuple(
            seed
            for seed in task.evaluation_seeds
            if (task.contestant, task.training_seed, task.context.key, seed) not in keys
        )
        if seeds:
            left.append(dataclasses.replace(task, evaluation_seeds=seeds))
    return left

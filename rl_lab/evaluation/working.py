"""What goes on within a worker's process: tasks come in, episodes are lived, records go out."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

from rl_lab import episodes
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import LabError
from rl_lab.evaluation.plan import Task
from rl_lab.frozen_policy import FrozenPolicy, load_policy
from rl_lab.records import EpisodeRecord


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


def work(pipe: Any, place: Any, engine: Engine) -> None:
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
            try:
                env = self._environment(task, policy)
                limit = episodes.step_limit(env, self._engine.step_limit)
                record = self._engine.live(task, policy, env, seed, limit, note)
            except Exception:
                # Reuse is proven after whole episodes only, not after one that broke.
                self._drop()
                raise
            yield record

    def _environment(self, task: Task, policy: FrozenPolicy) -> Any:
        """A fresh environment, or the used one of the same context where that is as good."""
        key = (EnvironmentRecipe.from_data(policy.card.environment), task.context)
        if self._engine.reuse and self._env[0] == key:
            return self._env[1]
        self._drop()
        env = episodes.make_for(policy, imports=self._engine.imports, context=task.context)
        self._env = (key, env)
        return env

    def _drop(self) -> None:
        """Close the environment; one that cannot be closed is not the next policy's affair."""
        (_, env), self._env = self._env, (None, None)
        if env is not None:
            with contextlib.suppress(Exception):
                env.close()

"""Finished episodes on disk as soon as they are known, so that a run that was killed goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from rl_lab import files
from rl_lab.evaluation.plan import Failure, Task
from rl_lab.evaluation.workers import run_tasks
from rl_lab.evaluation.working import Engine


class Keyed(Protocol):
    """A record that says what was evaluated: contestant, training seed, world, evaluation seed."""

    @property
    def key(self) -> tuple[str, int, tuple[str, float, str], int]:
        """As `EpisodeRecord.key`."""


R = TypeVar("R", bound=Keyed)


@dataclasses.dataclass(frozen=True)
class Journal(Generic[R]):
    """Where records of one kind are kept, one line each.

    Attributes:
        path: The file.
        read: Its whole lines; the last may be cut short.
        line: A record as a line.
    """

    path: Path
    read: Callable[[Path], list[R]]
    line: Callable[[R], str]

    def done(self, tasks: Sequence[Task]) -> list[R]:
        """Records of episodes that the tasks ask for; others in the file are left aside."""
        wanted = {key for task in tasks for key in task.keys}
        return [record for record in self.read(self.path) if record.key in wanted]


def go_on(
    journal: Journal[R],
    tasks: Sequence[Task],
    engine: Engine,
    processes: int,
    on_episodes: Callable[[int, int], None],
) -> tuple[list[R], list[Failure]]:
    """Live the episodes that are not in the journal yet.

    Args:
        journal: What was lived before, and where the rest goes.
        tasks: All the work.
        engine: How episodes are lived.
        processes: How many at a time.
        on_episodes: Told how many episodes of how many are done.

    Returns:
        The records of all episodes, in no particular order, and what failed.
    """
    done = journal.done(tasks)
    left = without_done(tasks, done)
    failures: list[Failure] = []
    total = sum(len(task.evaluation_seeds) for task in tasks)
    if left:
        with _Writer(journal) as writer:

            def keep(record: R) -> None:
                writer.append(record)
                done.append(record)
                on_episodes(len(done), total)

            failures = run_tasks(left, engine, processes, keep)
    on_episodes(len(done), total)
    return done, failures


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


class _Writer(Generic[R]):
    def __init__(self, journal: Journal[R]) -> None:
        self._journal = journal

    def __enter__(self) -> _Writer[R]:
        path, line = self._journal.path, self._journal.line
        # A row cut short by a kill would swallow the next one; only whole rows are kept.
        files.write_text(path, "".join(line(record) for record in self._journal.read(path)))
        self._file = path.open("a", newline="", encoding="utf-8")
        return self

    def append(self, record: R) -> None:
        """Add one row."""
        try:
            self._file.write(self._journal.line(record))
            self._file.flush()
        except OSError as error:
            raise files.cannot_write(self._journal.path, error) from error

    def __exit__(self, *exception: object) -> None:
        self._file.close()

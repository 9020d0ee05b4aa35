"""From tasks to episode records: run, journal, and go on after an interruption."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from rl_lab import episodes, files, paths, records, runs
from rl_lab.environments import EnvironmentRecipe, make
from rl_lab.errors import BadInput
from rl_lab.evaluation import plan as plans
from rl_lab.evaluation import probing
from rl_lab.evaluation.fingerprint import fingerprint
from rl_lab.evaluation.journal import Journal, go_on, without_done
from rl_lab.evaluation.plan import Entrant, Failure, Task
from rl_lab.evaluation.working import Engine, live
from rl_lab.records import EpisodeRecord

_JOURNAL = "episodes.journal.csv"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How an evaluation is run.

    Attributes:
        workers: Processes.
        step_limit: For environments without a limit of their own.
        step_timeout_s: A step that takes longer counts as hanging.
        imports: Packages that register environments.
    """

    workers: int
    step_limit: int
    step_timeout_s: float
    imports: tuple[str, ...]


def run(
    tasks: Sequence[Task],
    contestants: Sequence[Entrant],
    folder: Path,
    settings: Settings,
    on_episodes: Callable[[int, int], None] = lambda done, total: None,
    given_up: Sequence[Failure] = (),
    command: str | None = None,
) -> tuple[list[EpisodeRecord], list[Failure]]:
    """Run what is missing of an evaluation and write `episodes.csv`.

    Finished episodes stand in a journal, so a run that was killed goes on where it was.

    Args:
        tasks: All the work.
        contestants: Whose work it is.
        folder: The evaluation's folder.
        settings: How to run it.
        on_episodes: Told how many episodes of how many are done.
        given_up: Policies whose missing episodes failed elsewhere, and are not tried here.
        command: What repeats this, for those who find it unfinished.

    Raises:
        BadInput: The folder holds another evaluation, or the environment cannot be made.
    """
    _require_fit(contestants, settings)
    journal = _journal(folder)
    ours = _without(tasks, given_up, journal)
    engine = engine_for(without_done(ours, journal.done(ours)), contestants, settings)
    claim(folder, fingerprint(tasks, contestants, settings.step_limit), contestants, command)
    with runs.exclusive(folder, "evaluating"):
        done, failures = go_on(journal, ours, engine, settings.workers, on_episodes)
        records.write(folder / paths.EPISODES, done)
    return sorted(done), [*given_up, *failures]


def _without(
    tasks: Sequence[Task], given_up: Sequence[Failure], journal: Journal[EpisodeRecord]
) -> list[Task]:
    """The tasks less what is missing of some policies."""
    failed = {(failure.contestant, failure.training_seed) for failure in given_up}
    if not failed:
        return list(tasks)
    known = {record.key for record in journal.done(tasks)}
    kept = []
    for task in tasks:
        if (task.contestant, task.training_seed) in failed:
            seeds = tuple(key[-1] for key in task.keys if key in known)
            task = dataclasses.replace(task, evaluation_seeds=seeds)
        kept.append(task)
    return kept


def left(tasks: Sequence[Task], folders: Sequence[Path]) -> list[Task]:
    """What no journal of some evaluations has."""
    return without_done(tasks, [r for folder in folders for r in _journal(folder).done(tasks)])


def adopt(folder: Path, tasks: Sequence[Task], others: Sequence[Path]) -> None:
    """Take over into an evaluation's journal what others have of its tasks.

    Args:
        folder: Of the evaluation, which has been claimed.
        tasks: All its work.
        others: Folders of evaluations of parts of it.

    Raises:
        BadInput: The folder cannot be written to.
    """
    paths.require_writable(folder)
    with runs.exclusive(folder, "evaluating"):
        known = {r.key: r for place in (folder, *others) for r in _journal(place).done(tasks)}
        files.write_text(folder / _JOURNAL, "".join(map(_line, known.values())))


def _journal(folder: Path) -> Journal[EpisodeRecord]:
    return Journal(folder / _JOURNAL, records.read_journal, _line)


def require_possible(
    tasks: Sequence[Task], contestants: Sequence[Entrant], folder: Path, settings: Settings
) -> None:
    """Refuse what `run` would refuse, where others are to run it; writes nothing.

    Raises:
        BadInput: The environment, a policy or a shift cannot be run, or is of other spaces.
    """
    _require_fit(contestants, settings)
    engine_for(left(tasks, [folder]), contestants, settings)


def _require_fit(contestants: Sequence[Entrant], settings: Settings) -> None:
    """Refuse before a folder is made: the environment, or a policy of other spaces.

    Raises:
        BadInput: Says which of them, and why.
    """
    recipe = EnvironmentRecipe.from_data(contestants[0].card.environment)
    env = make(recipe, imports=settings.imports)
    try:
        for entrant in contestants:
            episodes.require_fit(env, entrant.card)
    finally:
        env.close()


def engine_for(left: Sequence[Task], contestants: Sequence[Entrant], settings: Settings) -> Engine:
    """How the episodes are run, after every world they are to be run in has been tried.

    Raises:
        BadInput: A shift is not for this environment, or changes nothing in it.
    """
    recipe = EnvironmentRecipe.from_data(contestants[0].card.environment)
    worlds = plans.worlds(left)
    reuse = False
    if left:
        found = probing.probe(recipe, worlds, settings.imports, settings.step_timeout_s)
        if found.problem is not None:
            raise found.problem
        reuse = found.reuse
    limits = (settings.step_limit, settings.step_timeout_s)
    return Engine(reuse, *limits, settings.imports, live)


def claim(
    folder: Path, fingerprint: str, contestants: Sequence[Entrant], command: str | None = None
) -> None:
    """Say in a folder which evaluation is kept there.

    Args:
        folder: The evaluation's.
        fingerprint: Of its plan.
        contestants: Who is evaluated.
        command: What repeats it, for those who find it unfinished.

    Raises:
        BadInput: It holds another one.
    """
    require_free(folder, fingerprint)
    if not (folder / paths.PLAN).exists():
        about = {
            "environment": contestants[0].card.environment["id"],
            "contestants": sorted({entrant.contestant for entrant in contestants}),
            "command": command,
        }
        plan = {"format_version": 1, "fingerprint": fingerprint, **about}
        files.write_json(folder / paths.PLAN, plan)


def require_free(folder: Path, fingerprint: str) -> None:
    """Refuse a folder that holds another evaluation; writes nothing.

    Raises:
        BadInput: It does.
    """
    path = folder / paths.PLAN
    if path.exists() and files.read_json(path).get("fingerprint") != fingerprint:
        raise BadInput(
            f"{folder} holds another evaluation",
            "the same policies, environment, episodes, seeds, shifts, magnitudes, schedule, step"
            " limit and package versions as before",
            "Choose another name=NAME, or delete the folder.",
        )


def _line(record: EpisodeRecord) -> str:
    return records.to_csv([record]).split("\n", 1)[1]

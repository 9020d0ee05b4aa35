"""Drift and continued learning in an evaluation: what is asked for, lived, and written down."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab.cli import progress, worlds
from rl_lab.cli.worlds import Worlds
from rl_lab.comparison import adaptability, drifting
from rl_lab.comparison.drift_measures import Setup
from rl_lab.comparison.drifting import Subject
from rl_lab.comparison.snapshots import Facts
from rl_lab.drift_records import DriftRecord
from rl_lab.evaluation import adaptations, runner
from rl_lab.evaluation import drifting as living
from rl_lab.evaluation.adaptations import Adapted
from rl_lab.evaluation.fingerprint import fingerprint
from rl_lab.evaluation.plan import Entrant, Failure, Task
from rl_lab.evaluation.working import Engine
from rl_lab.records import EpisodeRecord
from rl_lab.statistics.scale import Scale

# Below the evaluation's folder: episodes of the snapshots, in files like its own.
FOLDER = "adaptation"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What an evaluation was asked for besides fixed policies in fixed worlds.

    Attributes:
        adapted: Adaptations of its contestants.
        snapshots: Theirs, as far as they can be read.
        tasks: All the work on them.
        damaged: Those that cannot be read.
        drifts: One for each shift that moves; none where none was asked for.
        drift_tasks: The work on those.
        drift_seeds: The published evaluation seeds faced there, in order.
    """

    adapted: tuple[Adapted, ...]
    snapshots: tuple[Entrant, ...]
    tasks: tuple[Task, ...]
    damaged: tuple[Failure, ...]
    drifts: tuple[Setup, ...]
    drift_tasks: tuple[Task, ...]
    drift_seeds: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Found:
    """What came of it."""

    snapshots: Sequence[EpisodeRecord]
    drifts: Sequence[DriftRecord]
    failures: Sequence[Failure]


def wanted(
    data: Mapping[str, Any],
    places: Sequence[Path],
    contestants: Sequence[Entrant],
    planned: Worlds,
    seeds: Sequence[int],
    termination: str | None,
) -> Wanted:
    """What a configuration asks for.

    Args:
        data: The whole configuration.
        places: Where adaptations are.
        contestants: Who is evaluated.
        planned: The worlds besides the training's.
        seeds: The published list.
        termination: What an end before the limit means, as `shift_choice.termination` gives it.

    Raises:
        BadInput: A place holds no adaptation of a contestant, or a number is out of range.
    """
    settings = data["evaluation"]
    adapted = adaptations.find(places, contestants)
    faced = seeds[: worlds.count(settings, "adaptation_episodes", 1)]
    snapshots, damaged = adaptations.entrants(adapted)
    moved_on = {seed for _, moved in planned.scheduled for seed in moved}
    drift_seeds = tuple(seed for seed in seeds if seed in moved_on)
    return Wanted(
        adapted=tuple(adapted),
        snapshots=tuple(snapshots),
        tasks=tuple(adaptations.tasks(adapted, snapshots, faced)),
        damaged=tuple(damaged),
        drifts=_setups(planned, worlds.count(settings, "drift_horizon", 1), termination),
        drift_tasks=tuple(_drift_tasks(contestants, planned, drift_seeds)),
        drift_seeds=drift_seeds,
    )


def _setups(planned: Worlds, horizon: int, termination: str | None) -> tuple[Setup, ...]:
    moved_by = planned.schedule
    if moved_by is None or not planned.scheduled:
        return ()
    within = moved_by.clock == "steps"
    return tuple(
        Setup(
            shift=shift.name,
            delta=planned.schedule_delta,
            schedule=moved_by.to_data(),
            change_step=moved_by.start if within else 0,
            change_episode=None if within else moved_by.start,
            horizon=horizon,
            termination=termination,
        )
        for shift in planned.shifts
    )


def _drift_tasks(
    contestants: Sequence[Entrant], planned: Worlds, seeds: Sequence[int]
) -> Sequence[Task]:
    if not planned.scheduled:
        return ()
    return living.tasks(contestants, planned.scheduled, seeds)


def prepare(
    asked: Wanted, contestants: Sequence[Entrant], folder: Path, settings: runner.Settings
) -> Engine | None:
    """Refuse what could not be lived or kept, before the first episode of anything.

    Returns:
        How the episodes with drift are lived; None where there are none.

    Raises:
        BadInput: The evaluation's folder holds episodes of other adaptations, or a shift cannot
            move so.
    """
    if asked.snapshots:
        code = fingerprint(asked.tasks, asked.snapshots, settings.step_limit)
        runner.require_free(folder / FOLDER, code)
    if not asked.drifts:
        return None
    start = asked.drifts[0].change_step
    return living.engine(asked.drift_tasks, contestants, folder, settings, start)


def measure(
    asked: Wanted, drifting: Engine | None, folder: Path, settings: runner.Settings
) -> Found:
    """Live all episodes that are asked for.

    Args:
        asked: What those are.
        drifting: As `prepare` gives it.
        folder: The evaluation's folder.
        settings: How episodes are run.
    """
    snapshots: Sequence[EpisodeRecord] = ()
    drifts: Sequence[DriftRecord] = ()
    failures = list(asked.damaged)
    if drifting is not None:
        with progress.of_episodes("drifting") as tell:
            drifts, failed = living.measure(
                asked.drift_tasks,
                drifting,
                folder,
                settings.workers,
                asked.drifts[0].change_step,
                tell,
            )
        failures += failed
    if asked.snapshots:
        with progress.of_episodes("evaluating snapshots") as tell:
            snapshots, failed = runner.run(
                asked.tasks, asked.snapshots, folder / FOLDER, settings, tell
            )
        failures += failed
    return Found(snapshots, drifts, failures)


def attach(
    scores: dict[str, Any],
    asked: Wanted,
    found: Found,
    contestants: Sequence[Entrant],
    ceiling: float | None,
) -> None:
    """Put the blocks `drift` and `adaptation` into every contestant's scores."""
    scale = Scale(**scores["scale"]) if scores["scale"] else str(scores["scale_reason"])
    subjects = _subjects(contestants)
    drift = drifting.blocks(found.drifts, asked.drifts, scale, subjects, asked.drift_seeds)
    facts = [_facts(a) for a in asked.adapted]
    learned = adaptability.blocks(found.snapshots, facts, scale, ceiling)
    nothing_learned = {"adaptation": None, "adaptation_reason": "no adaptation was evaluated"}
    for contestant in scores["contestants"]:
        contestant |= drift[contestant["name"]]
        contestant |= learned.get(contestant["name"], nothing_learned)


def _subjects(contestants: Sequence[Entrant]) -> dict[str, Subject]:
    """Who is judged under drift, by name."""
    seeds: dict[str, list[int]] = {}
    for entrant in contestants:
        seeds.setdefault(entrant.contestant, []).append(entrant.training_seed)
    memory = {e.contestant: bool(e.card.state) for e in contestants}
    return {name: Subject(memory[name], tuple(trained)) for name, trained in seeds.items()}


def _facts(adapted: Adapted) -> Facts:
    card, context = adapted.card, adapted.context
    shift, delta = context.parts[0]
    return Facts(
        contestant=adapted.contestant,
        training_seed=int(card["seed"]),
        kind=str(card["kind"]),
        shift=context.shift_name,
        delta=context.delta,
        parameter=shift.parameter,
        unit=shift.unit,
        value=shift.value(delta),
        budget=int(card["budget"]),
        steps=tuple(adapted.steps),
        costs={key: float(card[key]) for key in ("gradient_updates", "seconds", "cpu_seconds")},
        energy=card.get("energy") or {},
        declared=dict(card["declared"]),
    )

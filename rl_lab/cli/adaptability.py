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
from rl_lab.comparison.snapshots import Facts
from rl_lab.drift_records import DriftRecord
from rl_lab.environments import Anchors
from rl_lab.errors import BadInput
from rl_lab.evaluation import adaptations, plan, runner
from rl_lab.evaluation import drifting as living
from rl_lab.evaluation.adaptations import Adapted
from rl_lab.evaluation.plan import Entrant, Failure, Task
from rl_lab.records import EpisodeRecord
from rl_lab.shifts import Context
from rl_lab.statistics import adaptation
from rl_lab.statistics.adaptation import Scale

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
        moving: A context that moves within the episode; None where none was asked for.
        drift_seeds: Faced with and without drift.
        horizon: Steps after the change at which survival is taken.
    """

    adapted: tuple[Adapted, ...]
    snapshots: tuple[Entrant, ...]
    tasks: tuple[Task, ...]
    damaged: tuple[Failure, ...]
    moving: Context | None
    drift_seeds: tuple[int, ...]
    horizon: int


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
) -> Wanted:
    """What a configuration asks for.

    Raises:
        BadInput: A place holds no adaptation of a contestant, or a number is out of range.
    """
    settings = data["evaluation"]
    moving = [context for context, _ in planned.scheduled if context.moves]
    drift_seeds = seeds[: worlds.count(settings, "drift_episodes", 0)]
    if len(moving) > 1 and drift_seeds:
        names = [context.shift_name for context in moving]
        raise BadInput(
            f"a schedule within the episode for {' and '.join(names)}",
            "one shift that moves",
            f"Evaluate one at a time: shift={names[0]}, then shift={names[1]}.",
        )
    adapted = adaptations.find(places, contestants)
    faced = seeds[: worlds.count(settings, "adaptation_episodes", 1)]
    snapshots, damaged = adaptations.entrants(adapted)
    return Wanted(
        adapted=tuple(adapted),
        snapshots=tuple(snapshots),
        tasks=tuple(adaptations.tasks(adapted, snapshots, faced)),
        damaged=tuple(damaged),
        moving=moving[0] if moving and drift_seeds else None,
        drift_seeds=tuple(drift_seeds),
        horizon=worlds.count(settings, "drift_horizon", 1),
    )


def require_free(asked: Wanted, folder: Path, settings: runner.Settings) -> None:
    """Refuse what could not be kept, before the first episode of anything.

    Raises:
        BadInput: The evaluation's folder holds episodes of other adaptations.
    """
    if asked.snapshots:
        code = plan.fingerprint(asked.tasks, asked.snapshots, settings.step_limit)
        runner.require_free(folder / FOLDER, code)


def measure(
    asked: Wanted, contestants: Sequence[Entrant], folder: Path, settings: runner.Settings
) -> Found:
    """Live all episodes that are asked for."""
    snapshots: Sequence[EpisodeRecord] = ()
    drifts: Sequence[DriftRecord] = ()
    failures = list(asked.damaged)
    if asked.moving is not None:
        with progress.of_episodes("drifting") as tell:
            drifts, failed = living.measure(
                contestants, asked.moving, asked.drift_seeds, folder, settings, tell
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
    anchors: Anchors | None,
) -> None:
    """Put the blocks `drift` and `adaptation` into every contestant's scores."""
    scale = _scale(scores, anchors)
    drift = _drift(asked, found, contestants, scale)
    learned = adaptability.blocks(found.snapshots, [_facts(a) for a in asked.adapted], scale)
    nothing_moved = {"drift": None, "drift_reason": "no schedule within the episode was evaluated"}
    nothing_learned = {"adaptation": None, "adaptation_reason": "no adaptation was evaluated"}
    for contestant in scores["contestants"]:
        contestant |= drift.get(contestant["name"], nothing_moved)
        contestant |= learned.get(contestant["name"], nothing_learned)


def _scale(scores: Mapping[str, Any], anchors: Anchors | None) -> Scale | str:
    means = [c["reward"]["mean"]["estimate"] for c in scores["contestants"] if c["reward"]]
    random, solved = (anchors.random, anchors.solved) if anchors else (None, None)
    return adaptation.scale(random, solved, max(means, default=float("-inf")))


def _drift(
    asked: Wanted, found: Found, contestants: Sequence[Entrant], scale: Scale | str
) -> dict[str, Any]:
    context = asked.moving
    if context is None or context.schedule is None:
        return {}
    setup = Setup(
        shift=context.shift_name,
        delta=context.delta,
        schedule=context.schedule.to_data(),
        change_step=context.schedule.start,
        horizon=asked.horizon,
    )
    memory = {e.contestant: bool(e.card.state) for e in contestants}
    return drifting.blocks(found.drifts, setup, scale, memory)


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
        declared=dict(card["declared"]),
    )

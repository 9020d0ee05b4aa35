"""What the comparison is told besides the episode records: protocol and contestants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab import runs, shifts
from rl_lab.cli import costs
from rl_lab.cli.worlds import Worlds, met_in_training
from rl_lab.comparison import Contestant, Grid, GridCell, Learning, Protocol, ShiftFacts
from rl_lab.errors import BadInput
from rl_lab.evaluation.plan import Entrant
from rl_lab.shifts import Context, Shift
from rl_lab.tracking import read_metrics, tags

_UNLIMITED = "training drew fresh initial states without end: there is no finite set to overfit"
_UNKNOWN_STATES = "which initial states the training met is not known here"


def protocol(worlds: Worlds, seed: int, seeds: Sequence[int], step_limit: int) -> Protocol:
    """How the episodes were run.

    Args:
        worlds: The contexts besides the training's.
        seed: Root of the evaluation seeds.
        seeds: Those.
        step_limit: For environments without a limit of their own.
    """
    sets = {"near": worlds.near, "far": worlds.far}
    return Protocol(
        episodes=len(seeds),
        seed=seed,
        evaluation_seeds=(seeds[0], seeds[-1]),
        shifts=tuple(_shift_facts(shift, worlds.deltas) for shift in worlds.shifts),
        deltas=worlds.deltas,
        shift_episodes=len(worlds.shift_seeds) if worlds.shifts or worlds.grid else 0,
        grid=_grid(worlds),
        schedule=str(worlds.schedule) if worlds.schedule else None,
        context_sets={name: _members(drawn) for name, drawn in sets.items() if drawn},
        step_limit=step_limit,
    )


def _members(
    drawn: Sequence[tuple[Context, int]],
) -> tuple[tuple[tuple[str, float, str], int], ...]:
    return tuple((context.key, seed) for context, seed in drawn)


def _shift_facts(shift: Shift, deltas: Sequence[float]) -> ShiftFacts:
    values = tuple((delta, shift.value(delta)) for delta in deltas)
    return ShiftFacts(shift.name, shift.parameter, shift.unit, shift.near_delta, values)


def _grid(worlds: Worlds) -> Grid | None:
    if not worlds.grid:
        return None
    one, two = worlds.grid
    cells = tuple(
        GridCell((a, b), shifts.combined(((one, a), (two, b))).key)
        for a in worlds.grid_deltas
        for b in worlds.grid_deltas
    )
    return Grid((one.name, two.name), cells)


def contestants(entrants: Sequence[Entrant], worlds: Worlds) -> list[Contestant]:
    """The recipes, in order of name."""
    names = sorted({e.contestant for e in entrants})
    return [_contestant([e for e in entrants if e.contestant == name], worlds) for name in names]


def _contestant(entrants: Sequence[Entrant], worlds: Worlds) -> Contestant:
    card = entrants[0].card
    return Contestant(
        name=entrants[0].contestant,
        agent=card.agent,
        algorithm=card.algorithm,
        recipe_hash=card.recipe_hash,
        training_seeds=tuple(e.training_seed for e in entrants),
        training=costs.training([runs.read(e.run) for e in entrants if e.run]),
        learning=_learning(entrants, worlds),
    )


def _learning(entrants: Sequence[Entrant], worlds: Worlds) -> Learning:
    contexts = entrants[0].card.provenance.get("contexts")
    met = {e.training_seed: met_in_training(e.card, worlds.near) for e in entrants}
    final = all(e.run and e.folder == e.run / runs.POLICIES["final"] for e in entrants)
    returns = {e.training_seed: _last_return(e) for e in entrants} if final else {}
    return Learning(
        trained_on=_trained_on(contexts) if contexts else None,
        inside=_inside(contexts, worlds) if contexts else {},
        contexts={seed: _members(drawn) for seed, drawn in met.items() if drawn},
        last_returns={seed: value for seed, value in returns.items() if value is not None},
        no_returns="" if final else "not the final policies of runs at hand",
        no_seed_gap=_UNLIMITED if all(e.run for e in entrants) else _UNKNOWN_STATES,
    )


def _inside(contexts: Mapping[str, Any], worlds: Worlds) -> dict[str, bool | None]:
    """Whether the near and the far set are drawn from what the training drew from."""
    trained = shifts.drawn_from_data(contexts)
    return {name: trained.contains(name, worlds.shifts) for name in shifts.RANGES}


def _trained_on(contexts: Mapping[str, Any]) -> dict[str, Any]:
    return {"range": contexts["range"], "shifts": [shift["name"] for shift in contexts["shifts"]]}


def _last_return(entrant: Entrant) -> float | None:
    """Mean return of the last 100 training episodes, as stable-baselines3 logs it."""
    assert entrant.run is not None
    try:
        points = read_metrics(entrant.run)
    except BadInput:
        return None
    known = [point[tags.EPISODE_RETURN] for point in points if tags.EPISODE_RETURN in point]
    return known[-1] if known else None

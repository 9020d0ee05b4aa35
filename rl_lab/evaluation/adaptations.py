"""Adaptations in an evaluation: their snapshots, where each is judged, and on which seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import adaptations, frozen_policy, paths, runs, shifts
from rl_lab.adaptations import CONTINUED, SnapshotName
from rl_lab.errors import BadInput
from rl_lab.evaluation.facing import blocks
from rl_lab.evaluation.plan import Entrant, Failure, Task
from rl_lab.shifts import Context

_BLOCK = 20


@dataclasses.dataclass(frozen=True)
class Adapted:
    """One adaptation of a contestant of an evaluation.

    Attributes:
        folder: Where it lies.
        card: What `adaptation.json` says.
        contestant: The contestant's name.
        context: The world that was adapted to.
    """

    folder: Path
    card: Mapping[str, Any]
    contestant: str
    context: Context

    @property
    def steps(self) -> list[int]:
        """Environment steps in the shifted world at which there are snapshots."""
        return [int(snapshot["step"]) for snapshot in self.card["snapshots"]]

    def name(self, step: int) -> SnapshotName:
        """What its snapshot is called in records."""
        context = self.context
        return SnapshotName(
            self.contestant, self.card["kind"], context.shift_name, context.delta, step
        )


def find(places: Iterable[Path], contestants: Sequence[Entrant]) -> list[Adapted]:
    """The adaptations at some places, each with its contestant.

    Raises:
        BadInput: A place holds none, one is not complete, its run's recipe is no contestant, or
            two would be told apart by nothing in the records.
    """
    names = {(e.card.agent, e.card.recipe_hash): e.contestant for e in contestants}
    found = []
    for place in places:
        folders = paths.find(place, paths.ADAPTATION) if place.is_dir() else []
        if not folders:
            raise BadInput(
                f"{place} holds no adaptations" if place.exists() else f"{place} does not exist",
                "a folder that rl-lab adapt wrote",
                "`rl-lab adapt run=RUN shift=NAME` makes one.",
            )
        found += [_adapted(folder, names) for folder in folders]
    _require_distinct(found)
    return found


def _require_distinct(found: Sequence[Adapted]) -> None:
    seeds: dict[tuple[SnapshotName, int], Adapted] = {}
    worlds: dict[tuple[str, str, float], Adapted] = {}
    for one in found:
        name = one.name(0)
        other = seeds.setdefault((name, one.card["seed"]), one)
        if other is not one:
            raise BadInput(
                f"{other.folder} and {one.folder} adapt the same seed to the same world",
                "each training seed once for a shift and a magnitude",
                "Leave one of them out.",
            )
        other = worlds.setdefault((name.contestant, name.shift, name.delta), one)
        if other.card["context"] != one.card["context"]:
            raise BadInput(
                f"{other.folder} and {one.folder} adapt to different worlds of one name",
                f"one world called {name.shift} {name.delta:g}",
                "Evaluate them apart.",
            )


def _adapted(folder: Path, names: Mapping[tuple[str, str], str]) -> Adapted:
    card = adaptations.read(folder)
    if card["status"] != runs.COMPLETE:
        raise BadInput(
            f"adaptation {folder} is {card['status']}",
            "a complete one",
            "Give its rl-lab adapt command again.",
        )
    name = names.get((card["agent"], card["recipe_hash"]))
    if name is None:
        raise BadInput(
            f"adaptation {folder} is of {card['agent']}-{card['recipe_hash']}",
            f"one of the contestants: {', '.join(sorted(set(names.values())))}",
            "Evaluate it together with the runs that it continues.",
        )
    return Adapted(folder, card, name, shifts.context_from_data(card["context"]))


def entrants(adapted: Sequence[Adapted]) -> tuple[list[Entrant], list[Failure]]:
    """Every snapshot as something that can be evaluated, and those that cannot be read."""
    made, damaged = [], []
    for one in adapted:
        for step in one.steps:
            folder = paths.snapshot_folder(one.folder, step)
            try:
                card = frozen_policy.read_card(folder)
            except BadInput as error:
                damaged.append(Failure(one.contestant, one.card["seed"], str(error)))
            else:
                made.append(Entrant(str(one.name(step)), one.card["seed"], folder, card, None))
    return made, damaged


def tasks(
    adapted: Sequence[Adapted], snapshots: Sequence[Entrant], seeds: Sequence[int]
) -> list[Task]:
    """Each snapshot in the shifted world; those of continued trainings in the original one too.

    Args:
        adapted: The adaptations.
        snapshots: Those of their snapshots that can be evaluated.
        seeds: Faced by each.
    """
    of = {(str(one.name(step)), one.card["seed"]): one for one in adapted for step in one.steps}
    made = []
    for entrant in snapshots:
        one = of[entrant.contestant, entrant.training_seed]
        worlds = [one.context, *([shifts.NOMINAL] if one.card["kind"] == CONTINUED else [])]
        made += [
            Task(entrant.contestant, entrant.training_seed, entrant.folder, world, tuple(block))
            for world in worlds
            for block in blocks(seeds, _BLOCK)
        ]
    return made

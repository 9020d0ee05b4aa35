"""An evaluation's worlds besides the training's: which shifts, how far, when, on which seeds."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rl_lab import seeding, shifts
from rl_lab.cli import shift_choice, typed
from rl_lab.cli.options import Options
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import Card
from rl_lab.shifts import Context, Schedule, Shift


@dataclasses.dataclass(frozen=True)
class Worlds:
    """What is evaluated besides the training context.

    Attributes:
        shifts: Each is evaluated along its path.
        deltas: Magnitudes along the path; empty without shifts.
        shift_seeds: Faced at every magnitude.
        grid: Two shifts evaluated at once, or none.
        grid_deltas: Magnitudes of each of them.
        near: Contexts drawn from the near range, each with the one seed faced there.
        far: The same from beyond it.
        schedule: Moves every shift, or None.
        schedule_delta: The magnitude that it moves them to.
        scheduled: The contexts of that, each with its seeds; for the block `drift` alone.
    """

    shifts: tuple[Shift, ...]
    deltas: tuple[float, ...]
    shift_seeds: tuple[int, ...]
    grid: tuple[Shift, ...]
    grid_deltas: tuple[float, ...]
    near: tuple[tuple[Context, int], ...]
    far: tuple[tuple[Context, int], ...]
    schedule: Schedule | None
    schedule_delta: float
    scheduled: tuple[tuple[Context, tuple[int, ...]], ...]

    @property
    def contexts(self) -> list[tuple[Context, tuple[int, ...]]]:
        """Every context that stands still, with the seeds faced in it."""
        still = [shifts.shifted(s, delta) for s in self.shifts for delta in self.deltas]
        still += [
            shifts.combined(tuple(zip(self.grid, (a, b), strict=True)))
            for a in (self.grid_deltas if self.grid else ())
            for b in self.grid_deltas
        ]
        drawn = [(context, (seed,)) for context, seed in (*self.near, *self.far)]
        return [*((context, self.shift_seeds) for context in still), *drawn]


def typed_words(words: Sequence[str]) -> list[str]:
    """Words with the key behind `shift=`, which to Hydra is a folder to choose one file from.

    Options of a cluster are free: they are added where there are none yet.
    """
    readable = [re.sub(r"^shift=", "shifts=", word) for word in words]
    return [f"++{w}" if w.startswith("launcher.options.") else w for w in readable]


def as_typed(data: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration under the keys that are typed, for people to read."""
    return {"shift" if key == "shifts" else key: value for key, value in data.items()}


def planned(
    data: Mapping[str, Any], environment: str, seeds: Sequence[int], options: Options
) -> Worlds:
    """The worlds that the configuration of an evaluation asks for.

    Args:
        data: The whole configuration.
        environment: The Gymnasium id.
        seeds: The published list.
        options: Where else there are files.

    Raises:
        BadInput: A shift, a schedule or a number is wrong.
    """
    settings = data["evaluation"]
    chosen = shift_choice.declared(data["shifts"], environment, options, "shift")
    pair = shift_choice.declared(data["grid"] or shifts.NO_SHIFT, environment, options, "grid")
    if len(pair) not in (0, 2):
        raise BadInput(f"grid={data['grid']}", "two shifts: grid=[A,B]")
    shift_seeds = tuple(seeds[: count(settings, "shift_episodes", 1)])
    moved_by, delta = _schedule(data["schedule"])
    row = seeds[: count(settings, "drift_episodes", 0)]
    if moved_by and row:
        _require_change(moved_by, chosen, len(row))
    root = count(settings, "seed", 0)
    faced = seeds[: count(settings, "context_episodes", 0)]
    near, far = (_drawn(name, chosen, faced, root) for name in shifts.RANGES)
    return Worlds(
        near=near,
        far=far,
        shifts=chosen,
        deltas=_levels(settings, "shift_levels") if chosen else (),
        shift_seeds=shift_seeds,
        grid=pair,
        grid_deltas=_levels(settings, "grid_levels") if pair else (),
        schedule=moved_by,
        schedule_delta=delta,
        scheduled=tuple(_scheduled(chosen, delta, moved_by, row)) if moved_by and row else (),
    )


def _levels(settings: Mapping[str, Any], key: str) -> tuple[float, ...]:
    levels = count(settings, key, 2)
    return tuple(i / (levels - 1) for i in range(levels))


def _drawn(
    name: str, chosen: tuple[Shift, ...], seeds: Sequence[int], root: int
) -> tuple[tuple[Context, int], ...]:
    """A list of contexts that all contestants face, the same for the same root seed."""
    if not chosen or not seeds:
        return ()
    drawn = shifts.drawn(name, chosen).contexts(len(seeds), seeding.generator(root, name))
    return tuple(zip(drawn, seeds, strict=True))


def met_in_training(
    card: Card, near: Sequence[tuple[Context, int]]
) -> list[tuple[Context, int]] | None:
    """The first contexts that a policy's training drew, each with a seed of the evaluation's sets.

    Args:
        card: The policy's.
        near: As in `Worlds`; its seeds are those faced.

    Returns:
        None where the policy was trained in one context.
    """
    data = card.provenance.get("contexts")
    if not data:
        return None
    draws = shifts.drawn_from(seeding.training_seed(card.training_seed))
    contexts = shifts.drawn_from_data(data).contexts(len(near), draws)
    return [(context, seed) for context, (_, seed) in zip(contexts, near, strict=True)]


def _schedule(data: Mapping[str, Any]) -> tuple[Schedule | None, float]:
    data = dict(data)
    delta = typed.value(data.pop("delta"), float, "schedule.delta")
    if data["kind"] == shifts.NO_SCHEDULE:
        return None, delta
    if not 0.0 < delta <= 1.0:
        do = "1 is the shift's far end."
        raise BadInput(f"schedule.delta={delta:g}", "a magnitude above 0, up to 1", do)
    return shifts.schedule_from_data(data), delta


def _require_change(moved_by: Schedule, chosen: Sequence[Shift], episodes: int) -> None:
    """Refuse a schedule under which nothing would ever move.

    Raises:
        BadInput: There is no shift, or the row of episodes ends before the change.
    """
    if not chosen:
        raise BadInput(
            f"schedule={moved_by.kind} without a shift", "a shift that moves", "Add shift=NAME."
        )
    if moved_by.clock == "episodes" and moved_by.start >= episodes:
        raise BadInput(
            f"schedule.start={moved_by.start} with episodes for a clock, and {episodes} of them",
            f"a start from 0 to {episodes - 1}",
            "Add schedule.start=NUMBER, or evaluation.drift_episodes=NUMBER for a longer row.",
        )


def _scheduled(
    chosen: Sequence[Shift], delta: float, moved_by: Schedule, seeds: Sequence[int]
) -> Iterable[tuple[Context, tuple[int, ...]]]:
    for shift in chosen:
        if moved_by.clock == "steps":
            yield shifts.shifted(shift, delta, moved_by), tuple(seeds)
            continue
        # With episodes for a clock, the published list is the order of time.
        draws = seeding.generator(seeds[0], "schedule", shift.name)
        row = shifts.over_episodes(shift, delta, moved_by, len(seeds), draws)
        yield from ((context, (seed,)) for context, seed in zip(row, seeds, strict=True))


def count(section: Mapping[str, Any], key: str, least: int) -> int:
    """A whole number of the `evaluation` section.

    Raises:
        BadInput: It is none, or below `least`.
    """
    number: int = typed.value(section[key], int, f"evaluation.{key}")
    if number < least:
        raise BadInput(
            f"evaluation.{key}={number}", f"a whole number from {least} up", "Choose a larger one."
        )
    return number

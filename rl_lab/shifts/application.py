"""Making an environment in a context."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any

import gymnasium

from rl_lab import environments
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput
from rl_lab.shifts import disturbances, edits, scales
from rl_lab.shifts.context import Context
from rl_lab.shifts.declaration import Shift
from rl_lab.shifts.dial import Dial
from rl_lab.shifts.inhabited import InContext, InDrawnContexts
from rl_lab.shifts.part import Part
from rl_lab.shifts.sets import Drawn

# What acts once, before the first reset, needs nothing afterwards.
_LASTING = ("before_reset", "transitions", "constructor")


def make(
    recipe: EnvironmentRecipe,
    context: Context,
    render_mode: str | None = None,
    imports: Iterable[str] = (),
) -> gymnasium.Env[Any, Any]:
    """Make one environment in a context; in the training context, the bare environment.

    Args:
        recipe: What to make.
        context: The world it is to be in.
        render_mode: As for `gymnasium.make`.
        imports: Packages the user trusts.

    Raises:
        BadInput: The environment cannot be made, or a shift is not for it.
    """
    imports = tuple(imports)
    for shift, _ in context.parts:
        edits.require_id(recipe.id, shift)
    changed = _with_arguments(recipe, context)
    put_in = functools.partial(_put_in, recipe=recipe, context=context, imports=imports)
    return environments.make(changed, render_mode, imports, put_in if context.parts else None)


def _with_arguments(recipe: EnvironmentRecipe, context: Context) -> EnvironmentRecipe:
    kwargs = dict(recipe.kwargs)
    for shift, delta in context.parts:
        if "constructor" not in shift.acts:
            continue
        if context.moves:
            raise BadInput(
                f"shift {shift.name} acts when the environment is made, and cannot move later",
                "a shift that acts on a live environment",
                "Leave the schedule out, or use its clock: episodes.",
            )
        for key, value in edits.arguments(shift, delta, "constructor").items():
            if key in recipe.kwargs:
                raise BadInput(
                    f"shift {shift.name} sets the argument {key}, and so does the environment",
                    "one of the two",
                    f"The recipe of the policies says {key}={recipe.kwargs[key]!r}.",
                )
            if delta > 0.0:
                kwargs[key] = value
    return dataclasses.replace(recipe, kwargs=kwargs)


def _put_in(
    env: gymnasium.Env[Any, Any],
    recipe: EnvironmentRecipe,
    context: Context,
    imports: tuple[str, ...],
) -> gymnasium.Env[Any, Any]:
    moving = [(shift, delta) for shift, delta in context.parts if delta > 0.0 or context.moves]
    env, parts = _parts(env, recipe, moving, imports)
    for part in parts:
        part.prepare(part.delta)
    lasting = all(set(part.shift.acts) <= set(_LASTING) for part in parts)
    if lasting and not context.moves:
        return env
    return InContext(env, context.schedule if context.moves else None, parts)


def _parts(
    env: gymnasium.Env[Any, Any],
    recipe: EnvironmentRecipe,
    wanted: Iterable[tuple[Shift, float]],
    imports: tuple[str, ...],
) -> tuple[gymnasium.Env[Any, Any], list[Part]]:
    """The environment with what disturbs it, and a handle for each shift."""
    scale = functools.partial(scales.observation_scale, recipe, imports)
    parts = []
    # Actions are disturbed inside, observations outside of what else there is.
    for shift, delta in sorted(wanted, key=lambda part: _is_sensor(part[0])):
        dial = Dial(scale) if "disturbance" in shift.acts else None
        parts.append(Part(env.unwrapped, shift, delta, dial))
        if dial is not None:
            env = disturbances.disturbed(env, dial, shift.acts["disturbance"])
    return env, parts


def make_drawn(
    recipe: EnvironmentRecipe,
    drawn: Drawn,
    render_mode: str | None = None,
    imports: Iterable[str] = (),
) -> gymnasium.Env[Any, Any]:
    """Make one environment in which every episode has a context of its own.

    Args:
        recipe: What to make.
        drawn: What is drawn from.
        render_mode: As for `gymnasium.make`.
        imports: Packages the user trusts.

    Raises:
        BadInput: As `make`, or a shift cannot act on a live environment.
    """
    imports = tuple(imports)
    for shift in drawn.shifts:
        edits.require_id(recipe.id, shift)
        if "constructor" in shift.acts:
            raise BadInput(
                f"shift {shift.name} acts when the environment is made, not at every episode",
                "a shift that acts on a live environment",
                "Name another one in training.context_shifts.",
            )

    def put_in(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
        parts = tuple((shift, 0.0) for shift in drawn.shifts)
        env, made = _parts(env, recipe, parts, imports)
        return InDrawnContexts(env, drawn, made)

    return environments.make(recipe, render_mode, imports, put_in)


# What a training takes place in.
World = Context | Drawn


def make_world(
    recipe: EnvironmentRecipe,
    world: World,
    render_mode: str | None = None,
    imports: Iterable[str] = (),
) -> gymnasium.Env[Any, Any]:
    """Make one environment in a context, or with a drawn one for every episode.

    Raises:
        BadInput: As `make` and `make_drawn`.
    """
    if isinstance(world, Drawn):
        return make_drawn(recipe, world, render_mode, imports)
    return make(recipe, world, render_mode, imports)


def _is_sensor(shift: Shift) -> bool:
    return str(shift.acts.get("disturbance", {}).get("kind", "")).startswith("observation")

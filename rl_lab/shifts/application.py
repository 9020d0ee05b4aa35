"""Making an environment in a context."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator
from typing import Any

import gymnasium
import numpy as np

from rl_lab import environments, seeding
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput
from rl_lab.shifts import disturbances, edits, scales
from rl_lab.shifts.context import Context
from rl_lab.shifts.declaration import Shift
from rl_lab.shifts.disturbances import Dial
from rl_lab.shifts.schedule import Schedule
from rl_lab.shifts.sets import Drawn, drawn_from

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


class Part:
    """One shift at work in one environment."""

    def __init__(self, root: Any, shift: Shift, delta: float, dial: Dial | None) -> None:
        self.shift, self.delta, self.dial = shift, delta, dial
        self._root, self._now = root, 0.0
        self._before = [
            edits.writer(root, shift, "before_reset") if "before_reset" in shift.acts else None,
            edits.transitions(root, shift) if "transitions" in shift.acts else None,
        ]
        self._after: edits.Writer | None = None
        self._constants = edits.Constants(root, shift) if "module" in shift.acts else None

    def prepare(self, delta: float) -> None:
        """Put what outlives a reset at a magnitude."""
        # What is not shifted has nothing to take back, and another shift may have written there.
        if delta != 0.0 or self._now != 0.0:
            for write in filter(None, self._before):
                write(delta)
        self._now = delta
        if self.dial is not None:
            self.dial.value = self.shift.value(delta)

    def follow(self) -> None:
        """After a reset: bring what that has made anew to the magnitude."""
        if "after_reset" in self.shift.acts:
            self._after = edits.writer(self._root, self.shift, "after_reset")
            if self._now > 0.0:
                self._after(self._now)

    def leave(self) -> None:
        """Before a reset: take back what acts after it, where the reset does not make it anew."""
        if self._after is not None and self._now > 0.0:
            self._after(0.0)

    def move(self, delta: float) -> None:
        """Another magnitude, within an episode."""
        if delta != self._now:
            self.prepare(delta)
            if self._after is not None:
                self._after(delta)

    @contextlib.contextmanager
    def constants(self) -> Iterator[None]:
        """While the environment runs, the module's numbers are shifted."""
        if self._constants is None:
            yield
        else:
            with self._constants.at(self._now):
                yield

    @property
    def has_constants(self) -> bool:
        """Whether `constants` does anything."""
        return self._constants is not None

    @property
    def options(self) -> dict[str, Any]:
        """Options for the environment's reset."""
        if "reset_options" not in self.shift.acts or self._now == 0.0:
            return {}
        return edits.arguments(self.shift, self._now, "reset_options")


class InContext(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps an environment in its context, through resets and along a schedule.

    Everything it draws comes from generators of its own, derived from the seed of the reset; a
    reset without a seed goes on drawing.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], schedule: Schedule | None, parts: list[Part]
    ) -> None:
        super().__init__(env)
        self._parts, self._schedule = parts, schedule
        self._constants = [part for part in parts if part.has_constants]
        self._counts_steps = schedule is not None and schedule.clock == "steps"
        self._tick, self._walk, self._started = 0, 0.0, False
        self._draws = np.random.default_rng(0)
        if not self._counts_steps and not self._constants:
            # Nothing to do in a step: one call less for each.
            self.step = self.env.step  # type: ignore[method-assign]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset the environment into the context."""
        if seed is not None:
            self._draws = seeding.generator(seed, "schedule")
            for part in self._parts:
                if part.dial is not None:
                    part.dial.draws = seeding.generator(seed, "disturbance", part.shift.name)
        extra: dict[str, Any] = {}
        share = self._first_share()
        for part in self._parts:
            part.leave()
        # First what goes back to 0: two sides of one parameter write to the same place.
        for part in sorted(self._parts, key=lambda part: part.delta * share > 0.0):
            part.prepare(part.delta * share)
            extra |= part.options
        with self._shifted():
            result = self.env.reset(seed=seed, options={**extra, **(options or {})} or None)
            for part in self._parts:
                part.follow()
        return result

    def _first_share(self) -> float:
        if self._schedule is None:
            return 1.0
        if self._counts_steps:
            self._tick, self._walk = 0, 0.0
        elif self._started:
            self._advance()
        self._started = True
        return self._schedule.share(self._tick, self._walk)

    def _advance(self) -> None:
        assert self._schedule is not None
        self._walk = self._schedule.walked(self._tick, self._walk, self._draws)
        self._tick += 1

    def _shifted(self) -> contextlib.ExitStack:
        stack = contextlib.ExitStack()
        for part in self._constants:
            stack.enter_context(part.constants())
        return stack

    def step(self, action: Any) -> Any:
        """Step in the context of this moment."""
        with self._shifted():
            result = self.env.step(action)
            if self._counts_steps:
                assert self._schedule is not None
                self._advance()
                share = self._schedule.share(self._tick, self._walk)
                for part in self._parts:
                    part.move(part.delta * share)
        return result


class InDrawnContexts(InContext):
    """Every episode has a context of its own, drawn from a range of some shifts.

    Args:
        env: The environment.
        drawn: The shifts and the range.
        parts: One for each of the shifts.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], drawn: Drawn, parts: list[Part]) -> None:
        super().__init__(env, None, parts)
        self._drawn = drawn
        self._contexts = np.random.default_rng(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Draw a context, and reset the environment into it."""
        if seed is not None:
            self._contexts = drawn_from(seed)
        chosen, delta = self._drawn.draw(self._contexts)
        for part in self._parts:
            part.delta = delta if part.shift is chosen else 0.0
        return super().reset(seed=seed, options=options)

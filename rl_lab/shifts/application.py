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
    scale = functools.partial(scales.observation_scale, recipe, imports)
    parts = []
    # Actions are disturbed inside, observations outside of what else there is.
    order = sorted(context.parts, key=lambda part: _is_sensor(part[0]))
    for shift, delta in order:
        if delta == 0.0 and not context.moves:
            continue
        dial = Dial(scale) if "disturbance" in shift.acts else None
        parts.append(_Part(env.unwrapped, shift, delta, dial))
        if dial is not None:
            env = disturbances.disturbed(env, dial, shift.acts["disturbance"])
    for part in parts:
        part.prepare(part.delta)
    lasting = all(set(part.shift.acts) <= set(_LASTING) for part in parts)
    return env if lasting and not context.moves else InContext(env, context, parts)


def _is_sensor(shift: Shift) -> bool:
    return str(shift.acts.get("disturbance", {}).get("kind", "")).startswith("observation")


class _Part:
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
        self._now = delta
        for write in filter(None, self._before):
            write(delta)
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

    Everything it draws comes from generators of its own, derived from the seed of the reset.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], context: Context, parts: list[_Part]) -> None:
        super().__init__(env)
        self._parts, self._context = parts, context
        self._schedule = context.schedule if context.moves else None
        self._shares: Iterator[float] | None = None
        self._counts_steps = self._schedule is not None and self._schedule.clock == "steps"
        self._constants = [part for part in parts if part.has_constants]
        if not self._counts_steps and not self._constants:
            # Nothing to do in a step: one call less for each.
            self.step = self.env.step  # type: ignore[method-assign]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset the environment into the context."""
        if seed is not None:
            for part in self._parts:
                if part.dial is not None:
                    part.dial.draws = seeding.generator(seed, "disturbance", part.shift.name)
        share = self._first_share(seed)
        extra: dict[str, Any] = {}
        for part in self._parts:
            part.leave()
            part.prepare(part.delta * share)
            extra |= part.options
        with self._shifted():
            result = self.env.reset(seed=seed, options={**extra, **(options or {})} or None)
            for part in self._parts:
                part.follow()
        return result

    def _first_share(self, seed: int | None) -> float:
        if self._schedule is None:
            return 1.0
        fresh = self._shares is None or self._counts_steps
        if fresh:
            self._walk = self._walk_draws(seed)
            self._shares = self._schedule.shares(self._walk)
        assert self._shares is not None
        return next(self._shares)

    def _walk_draws(self, seed: int | None) -> np.random.Generator:
        if seed is None:
            # Without a seed the walk goes on drawing where it was; the first reset has one.
            return getattr(self, "_walk", None) or seeding.generator(0, "schedule")
        return seeding.generator(seed, "schedule")

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
                assert self._shares is not None
                share = next(self._shares)
                for part in self._parts:
                    part.move(part.delta * share)
        return result

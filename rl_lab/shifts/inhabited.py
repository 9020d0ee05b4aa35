"""Wrappers that keep an environment in its context, through resets and along a schedule."""

from __future__ import annotations

import contextlib
from typing import Any

import gymnasium
import numpy as np

from rl_lab import seeding
from rl_lab.shifts.part import Part
from rl_lab.shifts.schedule import Schedule
from rl_lab.shifts.sets import Drawn, drawn_from


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
                    part.dial.renew(seeding.generator(seed, "disturbance", part.shift.name))
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

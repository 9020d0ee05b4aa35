"""Whether a shift shifts: settings that look right and change nothing are common in simulators."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from rl_lab import environments, seeding
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput
from rl_lab.shifts.application import make
from rl_lab.shifts.context import Context
from rl_lab.shifts.schedule import Schedule
from rl_lab.spaces import difference, to_data

_FIRST_SEED = 11
_STEPS = 160
_EPISODE_STEPS = 40
# Random actions average out; held ones get somewhere.
_HELD = 8
_NEVER = 10**9

Env = gymnasium.Env[Any, Any]


def fault(
    recipe: EnvironmentRecipe, context: Context, imports: tuple[str, ...] = ()
) -> BadInput | None:
    """Why a context does not count, or None.

    With the same seeds and actions, magnitude 0 must be the bare environment to the bit, the
    context's own magnitude must not, and a fresh environment afterwards must be untouched. What
    fails while it is tried out proves nothing.

    Args:
        recipe: The environment.
        context: Tried at its magnitudes.
        imports: Packages that register environments.
    """
    try:
        require_effective(recipe, context, imports)
    except BadInput as error:
        return error
    except Exception:
        return None
    return None


def require_effective(
    recipe: EnvironmentRecipe, context: Context, imports: tuple[str, ...] = ()
) -> None:
    """As `fault`, but raises what is wrong.

    Raises:
        BadInput: The context changes nothing, changes the spaces, or is not undone.
    """

    def bare() -> Env:
        return environments.make(recipe, imports=imports)

    def at(world: Context) -> Callable[[], Env]:
        return lambda: make(recipe, world, imports=imports)

    name = "+".join(shift.name for shift, _ in context.parts)
    _require_spaces(bare, at(context), recipe, name)
    before = trajectory(bare)
    zero = _at_zero(context)
    if zero is not None and trajectory(at(zero)) != before:
        raise _refused(recipe, name, "at magnitude 0 is not the bare environment", "mend the shift")
    if trajectory(at(_soon(context))) == before:
        raise _refused(
            recipe,
            name,
            "changes nothing: with the same seeds and actions every observation and reward is "
            "that of the bare environment",
            "What it sets may be read only once, or be no part of the equations; "
            "Values derived from it (`product:`, `sum:`) and other places to act are in "
            "docs/shifts.md.",
        )
    if trajectory(bare) != before:
        raise _refused(
            recipe,
            name,
            "is not undone: a fresh environment differs from the one before",
            "It must not touch what environments share.",
        )


def _refused(recipe: EnvironmentRecipe, name: str, what: str, do: str) -> BadInput:
    return BadInput(f"shift {name} in {recipe.id} {what}", "a shift that works", do)


def _at_zero(context: Context) -> Context | None:
    """All the machinery at work, with magnitude 0; None where it cannot be had."""
    if any("constructor" in shift.acts for shift, _ in context.parts):
        return None
    return dataclasses.replace(context, schedule=Schedule("step", "steps", _NEVER, 0), tick=None)


def _soon(context: Context) -> Context:
    """The same, with the schedule at once under way."""
    if context.schedule is None or not context.moves:
        return context
    return dataclasses.replace(context, schedule=dataclasses.replace(context.schedule, start=1))


def _require_spaces(
    bare: Callable[[], Env], shifted: Callable[[], Env], recipe: EnvironmentRecipe, name: str
) -> None:
    one, two = bare(), shifted()
    try:
        for kind in ("observation_space", "action_space"):
            words = kind.replace("_", " ")
            expected, found = to_data(getattr(one, kind)), to_data(getattr(two, kind))
            if text := difference(expected, found, words):
                raise BadInput(
                    f"shift {name} changes the {words} of {recipe.id}: {text}",
                    "the spaces of the training; frozen policies know no others",
                    "Leave it out.",
                )
    finally:
        one.close()
        two.close()


def trajectory(make_env: Callable[[], Env]) -> list[bytes]:
    """What fixed seeds and actions lead to, to the bit."""
    env = make_env()
    pieces: list[bytes] = []
    try:
        for seed in itertools.count(_FIRST_SEED):
            pieces += _episode(env, seed, _HELD if seed % 2 else 1)
            if len(pieces) >= _STEPS:
                return pieces
    finally:
        env.close()
    raise AssertionError("unreachable: there is always another seed")


def _episode(env: Env, seed: int, held: int) -> list[bytes]:
    draws = seeding.generator(seed, "efficacy")
    env.action_space.seed(int(draws.integers(2**31)))
    observation, _ = env.reset(seed=seed)
    pieces = [_bytes(observation)]
    action = env.action_space.sample()
    for step in range(_EPISODE_STEPS):
        action = env.action_space.sample() if step % held == 0 else action
        observation, reward, terminated, truncated, _ = env.step(action)
        pieces.append(_bytes(observation) + np.float64(reward).tobytes())
        if terminated or truncated:
            break
    return pieces


def _bytes(observation: Any) -> bytes:
    if isinstance(observation, dict):
        return b"".join(_bytes(value) for _, value in sorted(observation.items()))
    return np.asarray(observation).tobytes()

"""What the numbers of an observation vary by in the training context."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_lab import environments, seeding
from rl_lab.environments import EnvironmentRecipe

_STEPS = 1_000
_SEED = 0


def observation_scale(recipe: EnvironmentRecipe, imports: tuple[str, ...]) -> Any:
    """The deviation of each number under uniformly random actions, the same on every machine.

    Whole numbers (pixels) get that of a uniform distribution over their range.

    Args:
        recipe: The environment; its wrappers are left out, as sensors lie below them.
        imports: Packages that register environments.

    Returns:
        In the shape of the observation; a dict of such for a Dict space.
    """
    return _measured(json.dumps(recipe.to_data(), sort_keys=True), imports)


@functools.lru_cache(maxsize=16)
def _measured(recipe_text: str, imports: tuple[str, ...]) -> Any:
    recipe = EnvironmentRecipe.from_data(json.loads(recipe_text))
    env = environments.make(dataclasses.replace(recipe, wrappers=()), imports=imports)
    try:
        seen = _seen(env) if _has_floats(env.observation_space) else []
        return _scale(env.observation_space, seen)
    finally:
        env.close()


def _has_floats(space: spaces.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict):
        return any(map(_has_floats, space.spaces.values()))
    return isinstance(space, spaces.Box) and space.dtype.kind == "f"


def _seen(env: gymnasium.Env[Any, Any]) -> list[Any]:
    env.action_space.seed(_SEED)
    draws = seeding.generator(_SEED, "observation scale")
    seen, over = [], True
    for _ in range(_STEPS):
        if over:
            observation, _ = env.reset(seed=int(draws.integers(2**31)))
            over = False
        else:
            observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated
        # An environment may write its next observation into the same array.
        seen.append(copy.deepcopy(observation))
    return seen


def _scale(space: spaces.Space[Any], seen: list[Any]) -> Any:
    if isinstance(space, spaces.Dict):
        return {k: _scale(s, [o[k] for o in seen]) for k, s in space.spaces.items()}
    if not isinstance(space, spaces.Box):
        return None
    if space.dtype.kind == "f":
        return np.std(np.asarray(seen, np.float64), axis=0)
    return (space.high.astype(np.float64) - space.low) / 12**0.5

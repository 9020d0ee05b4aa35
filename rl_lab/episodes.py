"""The one loop: a frozen policy in an environment, one decision at a time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np

from rl_lab import seeding, shifts
from rl_lab.environments import EnvironmentRecipe, observation_fault
from rl_lab.errors import BadInput, EnvironmentFault
from rl_lab.frozen_policy import Card, FrozenPolicy
from rl_lab.shifts import NOMINAL, Context
from rl_lab.spaces import difference, to_data

Transition = tuple[Any, Any, float, bool, bool]
_PROBE_STEPS = 200


@dataclasses.dataclass(frozen=True)
class Episode:
    """What came of one episode."""

    episode_return: float
    length: int
    terminated: bool
    truncated: bool


def rollout(
    env: gymnasium.Env[Any, Any], policy: FrozenPolicy, seed: int, step_limit: int
) -> Iterator[Transition]:
    """Yield `(observation, action, reward, terminated, truncated)` until the episode ends.

    The observation is the one the action was chosen for. Budgets, statistics, pictures and
    records are the caller's; whoever stops early simply stops asking.

    Args:
        env: As the policy's card describes it.
        policy: What acts.
        seed: Given to `env.reset`.
        step_limit: Steps after which the episode counts as truncated, whatever the environment.

    Raises:
        EnvironmentFault: The environment raised or returned what is not a transition.
    """
    act, state, finite = _actor(env, policy), policy.reset(), finite_check(env.observation_space)
    step = 0
    try:
        observation, _ = env.reset(seed=seed)
        while True:
            if not finite(observation):
                raise _fault(env, seed, step, observation_fault(env.observation_space, observation))
            action, state = act(observation, state)
            step += 1
            following, reward, terminated, truncated, _ = env.step(action)
            reward = float(reward)
            if not math.isfinite(reward):
                raise _fault(env, seed, step, f"returned the reward {reward}")
            truncated = truncated or step >= step_limit
            yield observation, action, reward, terminated, truncated
            if terminated or truncated:
                return
            observation = following
    except (EnvironmentFault, GeneratorExit):
        raise
    except BadInput as error:
        raise _fault(env, seed, step, f"gave the policy {error.came}") from error
    except Exception as error:
        raise _fault(env, seed, step, f"raised {type(error).__name__}: {error}") from error


def _actor(env: gymnasium.Env[Any, Any], policy: FrozenPolicy) -> Callable[..., Any]:
    """The policy's `act`, with the environment's masks where it was trained with masks."""
    if not policy.card.action_masks:
        return policy.act
    masks, act = env.get_wrapper_attr("action_masks"), policy.act
    return lambda observation, state: act(observation, state, masks())


def _fault(env: gymnasium.Env[Any, Any], seed: int, step: int, what: str) -> EnvironmentFault:
    name = env.spec.id if env.spec else type(env.unwrapped).__name__
    return EnvironmentFault(name, seed, 1, step, what)


def finite_check(space: gymnasium.Space[Any]) -> Callable[[Any], bool]:
    """A fast test that an observation of this space holds no NaN and no infinity."""
    if isinstance(space, gymnasium.spaces.Box) and space.dtype.kind == "f":
        if len(space.shape) == 1:
            # A vector times itself is finite only if all of it is; a third of isfinite().all()'s
            # time. Large honest values can overflow the product, hence the second look.
            return lambda o: math.isfinite(o.dot(o)) or bool(np.isfinite(o).all())
        return lambda o: bool(np.isfinite(o).all())
    if isinstance(space, gymnasium.spaces.Dict):
        parts = [(key, finite_check(part)) for key, part in space.spaces.items()]
        return lambda o: all(check(o[key]) for key, check in parts)
    return lambda o: True


def run_episode(
    env: gymnasium.Env[Any, Any],
    policy: FrozenPolicy,
    seed: int,
    step_limit: int,
    on_step: Callable[[int], None] | None = None,
) -> Episode:
    """Run one whole episode and add it up.

    Args:
        env: As the policy's card describes it.
        policy: What acts.
        seed: Given to `env.reset`.
        step_limit: See `rollout`.
        on_step: Told the number of steps so far.
    """
    total, length = 0.0, 0
    last: Transition | None = None
    for last in rollout(env, policy, seed, step_limit):
        total += last[2]
        length += 1
        if on_step is not None:
            on_step(length)
    assert last is not None
    return Episode(total, length, bool(last[3]), bool(last[4]))


def require_fit(env: gymnasium.Env[Any, Any], card: Card) -> None:
    """Refuse a policy whose spaces are not those of the live environment.

    Raises:
        BadInput: They differ; names the first field that does.
    """
    pairs = (
        ("observation space", card.observation_space, env.observation_space),
        ("action space", card.action_space, env.action_space),
    )
    for name, expected, space in pairs:
        if text := difference(expected, to_data(space), name):
            raise BadInput(
                f"the policy does not fit {env.spec.id if env.spec else env}: {text}",
                "the spaces it was trained in",
                "Use the environment's version and arguments of the training, or train anew.",
            )
    if card.action_masks and not env.has_wrapper_attr("action_masks"):
        raise BadInput(
            f"{env.spec.id if env.spec else env} has no action_masks()",
            "an environment that says which actions are allowed",
            "The policy was trained with masks; use the environment of the training.",
        )


def reuse_is_exact(
    recipe: EnvironmentRecipe, make_env: Callable[[], gymnasium.Env[Any, Any]]
) -> bool:
    """Whether a used environment, reset with a seed, goes on exactly as a fresh one does.

    Compares two seeds on fresh environments with the same seeds on one that has already lived
    through others; `BipedalWalker-v3` fails, as its Box2D world outlives its episodes. So does
    what cannot be tried out with random actions.
    """
    used = make_env()
    try:
        fresh = {seed: _trace(recipe, make_env(), seed, close=True) for seed in (11, 12)}
        return all(_trace(recipe, used, seed) == fresh[seed] for seed in (12, 11, 12, 11))
    except Exception:
        # Nothing is proven by an environment that raises; the episodes will show whether it works.
        return False
    finally:
        used.close()


def _trace(
    recipe: EnvironmentRecipe, env: gymnasium.Env[Any, Any], seed: int, close: bool = False
) -> list[bytes]:
    actions = seeding.generator(seed, "probe", recipe.id)
    observation, _ = env.reset(seed=seed)
    # After the reset, which may itself sample actions.
    env.action_space.seed(int(actions.integers(2**31)))
    trace = [_bytes(observation)]
    for _ in range(_PROBE_STEPS):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        trace += [_bytes(observation), np.float64(reward).tobytes()]
        if terminated or truncated:
            break
    if close:
        env.close()
    return trace


def _bytes(observation: Any) -> bytes:
    if isinstance(observation, dict):
        return b"".join(_bytes(value) for _, value in sorted(observation.items()))
    return np.asarray(observation).tobytes()


def step_limit(env: gymnasium.Env[Any, Any], fallback: int) -> int:
    """The step limit of an environment, or `fallback` where it has none of its own."""
    limit = env.spec.max_episode_steps if env.spec else None
    return limit if limit is not None else fallback


def make_for(
    policy: FrozenPolicy,
    render_mode: str | None = None,
    imports: tuple[str, ...] = (),
    context: Context = NOMINAL,
) -> gymnasium.Env[Any, Any]:
    """The environment of a policy's card in some context, checked against the policy.

    Raises:
        BadInput: It cannot be made, or its spaces are not the policy's.
    """
    recipe = EnvironmentRecipe.from_data(policy.card.environment)
    env = shifts.make(recipe, context, render_mode, imports)
    try:
        require_fit(env, policy.card)
    except BadInput:
        env.close()
        raise
    return env

"""Environments side by side: in this process, in processes of their own, or natively."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gymnasium
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

from rl_lab.agent import Training
from rl_lab.environments import CheckedEnv, applied
from rl_lab.errors import BadInput, closest
from rl_lab_agents import naming, pooled
from rl_lab_agents.lean_vec_env import LeanVecEnv
from rl_lab_agents.native import NativeVecEnv
from rl_lab_agents.processes import ProcessVecEnv

MakeEnv = Callable[[], gymnasium.Env[Any, Any]]


def vectorized(make_env: MakeEnv, training: Training, gamma: float) -> VecEnv:
    """All environments of a training, normalised and stacked as it says.

    Args:
        make_env: Makes one environment.
        training: How many, how, and what is done to what they show.
        gamma: The discount that reward normalisation shares with the algorithm.

    Raises:
        BadInput: There is no such way, or it does not suit the environment.
    """
    env = _innermost(make_env, training)
    if training.normalize_observation or training.normalize_reward:
        env = VecNormalize(
            env,
            norm_obs=training.normalize_observation,
            norm_reward=training.normalize_reward,
            gamma=gamma,
        )
    if training.frame_stack > 1:
        env = VecFrameStack(env, training.frame_stack)
    return env


def _innermost(make_env: MakeEnv, training: Training) -> VecEnv:
    name = training.vectorization
    if name in _AT_ONCE:
        return _at_once(make_env, training)
    kinds: dict[str, Any] = {"sync": LeanVecEnv, "subprocess": ProcessVecEnv}
    if "." not in name and name not in kinds:
        raise BadInput(
            f"training.vectorization={name}",
            f"{', '.join((*kinds, *_AT_ONCE))}, or the dotted path of a class like DummyVecEnv",
            closest(name, [*kinds, *_AT_ONCE]),
        )
    kind = naming.resolve(name) if "." in name else kinds[name]
    env: VecEnv = kind([functools.partial(watched, make_env, training)] * training.n_envs)
    return env


def watched(make_env: MakeEnv, training: Training) -> gymnasium.Env[Any, Any]:
    """One environment: checked, its true returns recorded, then wrapped for learning alone.

    Raises:
        BadInput: A wrapper for learning alone changes a space, so the policy would not fit.
    """
    bare = make_env()
    env: gymnasium.Env[Any, Any] = Monitor(CheckedEnv(bare))
    for wrapper in training.wrappers:
        env = applied(env, wrapper)
    if (env.observation_space, env.action_space) != (bare.observation_space, bare.action_space):
        env.close()
        raise BadInput(
            "training.wrappers change the observation or the action space",
            "wrappers that change rewards and episodes only",
            "Put what the policy must see at play, too, into env.wrappers.",
        )
    return env


def _at_once(make_env: MakeEnv, training: Training) -> VecEnv:
    if training.wrappers:
        raise BadInput(
            f"training.wrappers with training.vectorization={training.vectorization}",
            "none: they wrap single environments",
        )
    env = make_env()
    try:
        return _AT_ONCE[training.vectorization](env, training.n_envs)
    finally:
        env.close()


# Ways that step all copies in one call.
_AT_ONCE: dict[str, Callable[[gymnasium.Env[Any, Any], int], VecEnv]] = {
    "native": NativeVecEnv.like,
    "envpool": pooled.like,
}

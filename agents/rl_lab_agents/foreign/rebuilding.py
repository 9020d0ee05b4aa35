"""A policy rebuilt from tensors, plain data and the live environment; nothing is unpickled."""

from __future__ import annotations

import contextlib
import inspect
import random
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack, VecNormalize

from rl_lab.errors import BadInput
from rl_lab_agents.foreign import keywords, shapes
from rl_lab_agents.foreign.families import Family
from rl_lab_agents.foreign.hints import Saved
from rl_lab_agents.foreign.statistics import Statistics
from rl_lab_agents.naming import resolve

_IDLE = ("log_std", "sde_features_extractor", "features_extractor.flatten")
_WRONG = "Is env= the environment of the training, and are normalizer= and frame_stack= right?"


class Model:
    """What `acting.traced` needs of an algorithm: a policy that predicts, and its environment.

    Args:
        policy: The policy.
        env: What stood around it in training.
        action_space: Of the environment.
    """

    def __init__(self, policy: BasePolicy, env: VecEnv) -> None:
        self.policy, self._env = policy, env
        self.action_space = env.action_space

    def get_env(self) -> VecEnv:
        """The environment with its wrappers."""
        return self._env

    def predict(self, *arguments: Any, **words: Any) -> Any:
        """As the algorithms do: the policy's own `predict`."""
        return self.policy.predict(*arguments, **words)


@contextlib.contextmanager
def unmoved_generators() -> Iterator[None]:
    """Leave the process's global random generators as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def surround(
    make_env: Callable[[], gymnasium.Env[Any, Any]],
    statistics: Statistics | None,
    frame_stack: int,
) -> VecEnv:
    """The environment with what training put around it: normaliser, stack, transposition.

    Raises:
        BadInput: The statistics are of other observations.
    """
    env: VecEnv = DummyVecEnv([make_env])
    if statistics is not None:
        env = _normalized(env, statistics)
    if frame_stack > 1:
        env = VecFrameStack(env, frame_stack)
    return BaseAlgorithm._wrap_env(env, monitor_wrapper=False)


def _normalized(env: VecEnv, statistics: Statistics) -> VecNormalize:
    parts: dict[str | None, Any] = {None: env.observation_space}
    if isinstance(env.observation_space, spaces.Dict):
        parts = {key: space for key, space in env.observation_space.spaces.items()}
    for key, moments in statistics.moments.items():
        shape = getattr(parts.get(key), "shape", None)
        if shape != moments.mean.shape or not isinstance(parts.get(key), spaces.Box):
            raise BadInput(
                f"the normaliser has means of shape {moments.mean.shape}, observations "
                f"{'' if key is None else repr(key) + ' '}are {parts.get(key)}",
                "statistics of this environment's observations",
                "Is env= the environment of the training, and normalizer= of the same training?",
            )
    made = VecNormalize(
        env,
        training=False,
        norm_reward=False,
        clip_obs=statistics.limit,
        epsilon=statistics.epsilon,
        norm_obs_keys=None if None in statistics.moments else [str(k) for k in statistics.moments],
    )
    rms: Any = made.obs_rms
    for key, moments in statistics.moments.items():
        target = rms if key is None else rms[key]
        target.mean, target.var = moments.mean.copy(), moments.variance.copy()
    return made


def policy(
    family: Family,
    weights: dict[str, torch.Tensor],
    saved: Saved,
    words: dict[str, Any],
    env: VecEnv,
) -> BasePolicy:
    """Build the policy's network and fill in what its actions depend on.

    Args:
        family: The algorithm.
        weights: The file's tensors.
        saved: The file's attributes.
        words: Keyword arguments as `keywords.known` gives them.
        env: What stands around the policy.

    Raises:
        BadInput: The network cannot be built for these spaces, or tensors do not fit it.
    """
    weights = shapes.unshared(weights)
    observation, action = env.observation_space, env.action_space
    alias = shapes.policy_alias(family, weights, observation)
    if saved.policy_class == "ARSLinearPolicy" or (
        family.name == "ars" and list(weights) == ["action_net.0.weight"]
    ):
        alias = "LinearPolicy"
    known = resolve(family.algorithm).policy_aliases
    if alias not in known:
        raise BadInput(f"{family.name} has no {alias}", f"one of {', '.join(known)}", _WRONG)
    made: BasePolicy = _built(
        known[alias],
        {
            **words,
            **shapes.policy_keywords(family, weights, action),
            **_exploring(family, weights, saved),
        },
        env,
        _first_width(family, weights) if alias == "MlpPolicy" else None,
    )
    _fill(made, weights, family)
    return made


def _exploring(family: Family, weights: dict[str, torch.Tensor], saved: Saved) -> dict[str, Any]:
    """State-dependent exploration bounds the mean of an actor, and allows others to squash."""
    if family.acting == ("actor.",):
        return {"use_sde": "actor.mu.0.weight" in weights and family.name not in ("td3", "ddpg")}
    return {"use_sde": bool(saved.plain.get("use_sde", False))}


def _first_width(family: Family, weights: dict[str, torch.Tensor]) -> int | None:
    """How many numbers the first layer takes."""
    for name, tensor in weights.items():
        first = any(name.startswith(start) for start in family.acting) and tensor.ndim == 2
        if first and "log_std" not in name and "lstm" not in name:
            return int(tensor.shape[1])
    return None


def _built(kind: type[BasePolicy], words: dict[str, Any], env: VecEnv, takes: int | None) -> Any:
    observation, action = env.observation_space, env.action_space
    accepted = inspect.signature(kind.__init__).parameters
    words = {key: value for key, value in words.items() if key in accepted}
    if "lr_schedule" in accepted:
        words["lr_schedule"] = _no_learning
    try:
        shown = get_flattened_obs_dim(observation)
        if takes is not None and takes != shown:
            raise BadInput(
                f"the policy takes {takes} numbers, the environment shows {shown}",
                "the environment that the policy was trained in",
                _WRONG,
            )
        with unmoved_generators():
            return kind(observation, action, **words)
    except (AssertionError, ValueError, TypeError, RuntimeError, KeyError, MemoryError) as error:
        raise BadInput(
            f"{kind.__name__} cannot be built here: {' '.join(str(error).split())[:160]}",
            "the environment that the policy was trained in",
            _WRONG,
        ) from error


def _no_learning(progress_remaining: float) -> float:
    return 0.0


def _fill(made: BasePolicy, weights: dict[str, torch.Tensor], family: Family) -> None:
    """Copy every tensor that a deterministic action depends on; each must be there and fit."""
    mine = {n: t for n, t in made.state_dict().items() if _acts(n, family)}
    theirs = {n: t for n, t in weights.items() if _acts(n, family)}
    for name in sorted({*mine, *theirs}):
        one, two = mine.get(name), theirs.get(name)
        if one is None or two is None or one.shape != two.shape:
            sizes = [None if t is None else tuple(t.shape) for t in (two, one)]
            raise BadInput(
                f"tensor {name!r} has the shape {sizes[0]} in the file and {sizes[1]} in the "
                "rebuilt network",
                "a network of stable-baselines3's own classes, for this environment",
                f"{_WRONG} For a network of another class: {keywords.TRUST}",
            )
        if not torch.isfinite(two.double()).all():
            raise BadInput(f"tensor {name!r} holds NaN or infinite values", "finite weights")
        with torch.no_grad():
            one.copy_(two)


def _acts(name: str, family: Family) -> bool:
    return name.startswith(family.acting) and not any(part in name for part in _IDLE)

"""What the compiled functions cover, said as a clause where they do not."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from rl_lab.environments import CheckedEnv
from rl_lab_agents.fast import compiled
from rl_lab_agents.native import NativeVecEnv

_ACTIVATIONS: dict[type, int] = {torch.nn.Tanh: compiled.TANH, torch.nn.ReLU: compiled.RELU}


def warn(agent: str, fault: str) -> None:
    """Say that an agent takes the standard path."""
    warnings.warn(f"{agent}: {fault}; stable-baselines3's own path is taken", stacklevel=2)


def environment_fault(env: VecEnv) -> str:
    """Why a vectorised environment is not covered; "" where it is."""
    inner: Any = env.venv if type(env) is VecNormalize else env
    if not isinstance(inner, DummyVecEnv | NativeVecEnv):
        return f"environments in a {type(inner).__name__} are not covered"
    single = getattr(inner, "envs", ())
    if not all(type(e) is Monitor and type(e.env) is CheckedEnv for e in single):
        return "an environment without the lab's own Monitor and CheckedEnv is not covered"
    space = inner.observation_space
    if not isinstance(space, gymnasium.spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        return f"observations of the kind {type(space).__name__} are not covered"
    if is_image_space(space):
        return "images are not covered"
    return ""


def policy_fault(policy: Any, kind: Any) -> str:
    """Why a policy is not covered; "" where it is.

    Args:
        policy: The policy.
        kind: The one class that is covered; a subclass may compute anything.
    """
    if type(policy) is not kind:
        return f"the policy class {type(policy).__name__} is not covered"
    extractors = [m for name, m in policy.named_modules() if name.endswith("features_extractor")]
    if any(type(extractor) is not FlattenExtractor for extractor in extractors):
        return "the features extractor is not covered"
    return ""


def network_fault(*networks: Iterable[torch.nn.Module]) -> str:
    """Why networks are not covered; "" where they are."""
    kinds = {type(m) for network in networks for m in network} - {torch.nn.Linear}
    if len(kinds) > 1 or not kinds <= set(_ACTIVATIONS):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        return f"layers of the kinds {names} are not covered"
    return ""


def activation(network: Iterable[torch.nn.Module]) -> int:
    """The compiled name of a network's activation."""
    kinds = [type(m) for m in network if type(m) is not torch.nn.Linear]
    return _ACTIVATIONS[kinds[0]] if kinds else compiled.LINEAR


def linears(network: Iterable[torch.nn.Module]) -> list[torch.nn.Linear]:
    """A network's linear layers, in order."""
    return [module for module in network if isinstance(module, torch.nn.Linear)]

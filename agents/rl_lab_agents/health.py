"""Learning that has left the finite numbers ends at once, and before it is saved."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from rl_lab.environments import CheckedEnv
from rl_lab.errors import Diverged, LabError

# Not a number by definition where returns do not vary.
_MAY_BE_NAN = ("train/explained_variance",)


def require_finite_losses(model: BaseAlgorithm) -> None:
    """Refuse to go on from an update whose own numbers are not finite.

    Raises:
        Diverged: One is not.
    """
    for name, value in model.logger.name_to_value.items():
        if not isinstance(value, float | np.floating) or math.isfinite(value):
            continue
        if name.startswith("train/") and name not in _MAY_BE_NAN:
            raise _diverged(model, name)


def require_finite_weights(model: BaseAlgorithm, cause: Exception | None = None) -> None:
    """Refuse to save or freeze weights that are not finite.

    Args:
        model: Whose weights.
        cause: The error that may come from them.

    Raises:
        Diverged: One is not.
    """
    if isinstance(cause, LabError):
        return
    for name, parameter in model.policy.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise _diverged(model, f"weight {name}") from cause


def _diverged(model: BaseAlgorithm, what: str) -> Diverged:
    error = Diverged(what, model.num_timesteps)
    environment: Any = model.get_env()
    env = next(iter(getattr(environment.unwrapped, "envs", ())), None)
    while env is not None and not isinstance(env, CheckedEnv):
        env = getattr(env, "env", None)
    error.evidence = env.recent() if env is not None else {}
    return error

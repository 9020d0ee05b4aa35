"""Fresh environments for a model in the middle of its training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm


def renew(model: BaseAlgorithm, make_env: Callable[[], gymnasium.Env[Any, Any]], seed: int) -> None:
    """Replace all environments of a model; environment i is reset with `seed` + i.

    An episode that this cuts off counts as truncated: its last transition bootstraps, and nothing
    is carried over into the next episode.
    """
    environment: Any = model.get_env()
    innermost = environment.unwrapped
    # Environments in other processes, or native ones, stay and are reset alone.
    for i, old in enumerate(getattr(innermost, "envs", ())):
        old.close()
        innermost.envs[i] = make_env()
    truncate_replay(model)
    environment.seed(seed)
    model._last_obs = environment.reset()
    model._last_episode_starts = np.ones(model.n_envs, bool)
    normalizer = model.get_vec_normalize_env()
    model._last_original_obs = None if normalizer is None else normalizer.get_original_obs()
    if model.action_noise is not None:
        model.action_noise.reset()


def truncate_replay(model: BaseAlgorithm) -> None:
    """Count the episode as truncated whose transitions are the newest in the replay buffer."""
    buffer: Any = getattr(model, "replay_buffer", None)
    if buffer is None or not buffer.size():
        return
    if hasattr(buffer, "truncate_last_trajectory"):  # HER marks whole episodes
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            buffer.truncate_last_trajectory()
        return
    if not hasattr(buffer, "dones"):
        return  # one of the user's own, with a place of its own for what is next
    last = (buffer.pos - 1) % buffer.buffer_size
    cut = buffer.dones[last] == 0
    buffer.dones[last] = 1.0
    # Where time limits are not told apart from failures, a cut is a failure: the observation
    # after it is about to be overwritten.
    if buffer.handle_timeout_termination:
        buffer.timeouts[last][cut] = 1.0

"""How a trained stable-baselines3 model acts: as a module to trace, and as the oracle for it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize, VecTransposeImage
from stable_baselines3.common.vec_env.stacked_observations import StackedObservations

from rl_lab.agent import TracedPolicy
from rl_lab_agents import preprocessing, tracing
from rl_lab_agents.preprocessing import Part


def traced(model: BaseAlgorithm, algorithm: str) -> TracedPolicy:
    """A model's deterministic policy with everything that its environment wraps around it.

    Args:
        model: Bound to its vectorised environment.
        algorithm: The dotted path of its class, for the card.
    """
    model.policy.set_training_mode(False)
    env: Any = model.get_env()
    raw = _innermost(env).observation_space
    parts = {key: _part(env, key) for key in _keys(raw)}
    recurrent = hasattr(model.policy, "lstm_actor")
    masked = "action_masks" in inspect.signature(model.policy.predict).parameters
    action_space: Any = model.action_space
    return TracedPolicy(
        tracing.ActingPath(model.policy, parts, action_space, recurrent, masked).to(
            model.policy.device
        ),
        Oracle(model, raw),
        raw,
        action_space,
        tracing.states(model.policy, parts),
        masked,
        {
            "algorithm": algorithm,
            "policy_class": type(model.policy).__name__,
            "stable_baselines3": stable_baselines3.__version__,
            "torch": torch.__version__.partition("+")[0],
        },
    )


def _keys(space: gymnasium.Space[Any]) -> list[str | None]:
    return list(space.spaces) if isinstance(space, gymnasium.spaces.Dict) else [None]


def _part(env: Any, key: str | None) -> Part:
    stack = find(env, VecFrameStack)
    return Part(
        preprocessing.normalizer(find(env, VecNormalize), key),
        preprocessing.stack(stack.stacked_obs if stack else None, key),
        _transposes(find(env, VecTransposeImage), key),
    )


def _transposes(wrapper: Any, key: str | None) -> bool:
    if wrapper is None or wrapper.skip:
        return False
    return key is None or key in wrapper.image_space_keys


def find(env: Any, kind: type) -> Any:
    """The wrapper of a kind around a vectorised environment, or None."""
    while env is not None:
        if isinstance(env, kind):
            return env
        env = getattr(env, "venv", None)
    return None


def _innermost(env: Any) -> Any:
    while hasattr(env, "venv"):
        env = env.venv
    return env


class Oracle:
    """stable-baselines3's own path: its wrappers' NumPy code, then `predict`.

    Args:
        model: Bound to its vectorised environment.
        raw: The observation space before any wrapper.
    """

    def __init__(self, model: BaseAlgorithm, raw: gymnasium.Space[Any]) -> None:
        self._model, self._raw = model, raw
        self._normalizer = find(model.get_env(), VecNormalize)
        self._stack = find(model.get_env(), VecFrameStack)

    def __call__(self, observations: Sequence[Any], masks: Sequence[Any] | None) -> np.ndarray:
        """Actions `[T, N, ...]` for T batches, see `rl_lab.agent.Reference`."""
        frames = self._frames(observations[0])
        state: Any = None
        actions = []
        for t, batch in enumerate(observations):
            seen = self._preprocessed(batch, frames, first=t == 0)
            keywords = {} if masks is None else {"action_masks": masks[t]}
            action, state = self._model.predict(seen, state=state, deterministic=True, **keywords)
            actions.append(action)
        return np.stack(actions)

    def _frames(self, batch: Any) -> Any:
        if self._stack is None:
            return None
        count = len(next(iter(batch.values())) if isinstance(batch, dict) else batch)
        source = self._stack.stacked_obs
        order = (
            {key: _order(inner) for key, inner in source.sub_stacked_observations.items()}
            if hasattr(source, "sub_stacked_observations")
            else _order(source)
        )
        return StackedObservations(count, source.n_stack, source.observation_space, order)

    def _preprocessed(self, batch: Any, frames: Any, first: bool) -> Any:
        if self._normalizer is not None:
            batch = self._normalizer.normalize_obs(batch)
        if frames is None:
            return batch
        if first:
            return frames.reset(batch)
        count = len(next(iter(batch.values())) if isinstance(batch, dict) else batch)
        return frames.update(batch, np.zeros(count, bool), [{}] * count)[0]


def _order(stacked: Any) -> str:
    return "first" if stacked.channels_first else "last"

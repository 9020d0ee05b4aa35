"""`VecNormalize` for the lean loop: same formulas, compiled, on the same running statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecNormalize

from rl_lab_agents.fast.jitting import jit


@jit
def _merge(mean: Any, variance: Any, count: float, x: Any) -> float:
    """Fold a batch `[rows, numbers]` into running moments; returns the new count."""
    rows = x.shape[0]
    total = count + rows
    for c in range(x.shape[1]):
        batch_mean, spread = 0.0, 0.0
        for r in range(rows):
            batch_mean += x[r, c]
        batch_mean /= rows
        for r in range(rows):
            spread += (x[r, c] - batch_mean) ** 2
        delta = batch_mean - mean[c]
        mean[c] += delta * rows / total
        variance[c] = (variance[c] * count + spread + delta * delta * count * rows / total) / total
    return total


@jit
def _scaled(x: Any, mean: Any, variance: Any, epsilon: float, limit: float, out: Any) -> None:
    for c in range(x.shape[1]):
        scale = 1.0 / math.sqrt(variance[c] + epsilon)
        for r in range(x.shape[0]):
            z = (x[r, c] - mean[c]) * scale
            out[r, c] = min(max(z, -limit), limit)


@jit
def _step_observations(
    mean: Any, variance: Any, counts: Any, x: Any, epsilon: float, limit: float, out: Any
) -> None:
    counts[0] = _merge(mean, variance, counts[0], x)
    _scaled(x, mean, variance, epsilon, limit, out)


@jit
def _step_rewards(
    returns: Any, moments: Any, counts: Any, gamma: float, epsilon: float, limit: float,
    rewards: Any, scale: bool,
) -> None:  # fmt: skip
    for i in range(rewards.shape[0]):
        returns[i, 0] = returns[i, 0] * gamma + rewards[i]
    counts[1] = _merge(moments[0], moments[1], counts[1], returns)
    if scale:
        inverse = 1.0 / math.sqrt(moments[1, 0] + epsilon)
        for i in range(rewards.shape[0]):
            rewards[i] = min(max(rewards[i] * inverse, -limit), limit)


class Normalizer:
    """Keeps the statistics of a `VecNormalize` while environments are stepped without it.

    Args:
        source: The wrapper; `take` reads it, `store` writes it back.
    """

    def __init__(self, source: VecNormalize) -> None:
        self._source = source
        self._counts = np.zeros(2)
        self._shape: Any = source.observation_space.shape
        self.take()

    def take(self) -> None:
        """Take the wrapper's statistics as they are."""
        source: Any = self._source
        self._returns = np.array(source.returns, np.float64).reshape(-1, 1)
        self._counts[1] = source.ret_rms.count
        self._reward_moments = np.array([[source.ret_rms.mean], [source.ret_rms.var]], np.float64)
        size = int(np.prod(self._shape))
        self._mean, self._variance = np.zeros(size), np.ones(size)
        if source.norm_obs:
            self._mean = np.array(source.obs_rms.mean, np.float64).ravel()
            self._variance = np.array(source.obs_rms.var, np.float64).ravel()
            self._counts[0] = source.obs_rms.count

    def store(self, observations: np.ndarray, rewards: np.ndarray) -> None:
        """Give the statistics back, with what the environments gave last, unnormalised."""
        source: Any = self._source
        source.returns = self._returns[:, 0].copy()
        source.ret_rms.mean, source.ret_rms.var = (m[0].copy() for m in self._reward_moments)
        source.ret_rms.count = float(self._counts[1])
        if source.norm_obs:
            source.obs_rms.mean = self._mean.reshape(self._shape).copy()
            source.obs_rms.var = self._variance.reshape(self._shape).copy()
            source.obs_rms.count = float(self._counts[0])
        source.old_obs, source.old_reward = observations.copy(), rewards.copy()

    def step(self, raw: np.ndarray, observations: np.ndarray, rewards: np.ndarray) -> None:
        """Learn from one step and normalise it.

        Args:
            raw: `[environments, numbers]`, float32.
            observations: The same shape; receives.
            rewards: `[environments]`; changed in place.
        """
        source = self._source
        if source.norm_obs:
            _step_observations(
                self._mean, self._variance, self._counts, raw, source.epsilon, source.clip_obs,
                observations,
            )  # fmt: skip
        else:
            observations[:] = raw
        _step_rewards(
            self._returns, self._reward_moments, self._counts, source.gamma, source.epsilon,
            source.clip_reward, rewards, source.norm_reward,
        )  # fmt: skip

    def last(self, observation: np.ndarray) -> np.ndarray:
        """An episode's last observation `[1, numbers]`, normalised; nothing is learned from it."""
        if not self._source.norm_obs:
            return observation
        out = np.empty_like(observation)
        source = self._source
        _scaled(observation, self._mean, self._variance, source.epsilon, source.clip_obs, out)
        return out

    def end_episode(self, i: int) -> None:
        """Environment `i` starts anew: so does its discounted return."""
        self._returns[i, 0] = 0.0

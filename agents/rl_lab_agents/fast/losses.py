"""Losses of PPO and A2C as compiled functions, with their slopes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rl_lab_agents.fast.jitting import jit

POLICY_LOSS, VALUE_LOSS, ENTROPY_LOSS, KL, CLIPPED, LOSS = range(6)
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)


@jit
def policy(
    log_prob: Any, old_log_prob: Any, advantage: Any, surrogate: bool, clip: float,
    d_log_prob: Any, stats: Any,
) -> None:  # fmt: skip
    """PPO's clipped loss, or the plain policy gradient, and its slope along each log-probability.

    Args: see `actor_critic.gradient`; `d_log_prob` and `stats` receive.
    """
    rows = log_prob.shape[0]
    share = _ONE / np.float32(rows)
    loss, divergence, clipped = _ZERO, _ZERO, 0
    # One loop for each case: a choice in every row keeps a loop from being vectorised.
    if not surrogate:
        for r in range(rows):
            loss -= advantage[r] * log_prob[r]
            d_log_prob[r] = -advantage[r] * share
    else:
        low, high, limit = np.float32(1.0 - clip), np.float32(1.0 + clip), np.float32(clip)
        for r in range(rows):
            log_ratio = log_prob[r] - old_log_prob[r]
            ratio = np.float32(math.exp(log_ratio))
            free = advantage[r] * ratio
            bound = advantage[r] * min(max(ratio, low), high)
            loss -= min(free, bound)
            d_log_prob[r] = -free * share if free <= bound else _ZERO
            divergence += ratio - _ONE - log_ratio
            clipped += abs(ratio - _ONE) > limit
    stats[POLICY_LOSS] = loss * share
    stats[KL] = divergence * share
    stats[CLIPPED] = clipped * share


@jit
def value(
    values: Any, old_values: Any, returns: Any, clip: float, weight: float, d_values: Any,
    stats: Any,
) -> None:  # fmt: skip
    """The squared error of the values, clipped or not, and its slope along each value.

    Args: see `actor_critic.gradient`; `d_values` and `stats` receive.
    """
    rows = values.shape[0]
    share = _ONE / np.float32(rows)
    scale, limit = _TWO * np.float32(weight) * share, np.float32(clip)
    loss = _ZERO
    if math.isnan(clip):
        for r in range(rows):
            error = values[r, 0] - returns[r]
            loss += error * error
            d_values[r, 0] = scale * error
    else:
        for r in range(rows):
            moved = values[r, 0] - old_values[r]
            slope = scale if -limit <= moved <= limit else _ZERO
            error = old_values[r] + min(max(moved, -limit), limit) - returns[r]
            loss += error * error
            d_values[r, 0] = slope * error
    stats[VALUE_LOSS] = loss * share

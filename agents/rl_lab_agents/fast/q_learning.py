"""Acting and updates of DQN as compiled functions; the mathematics of stable-baselines3's."""

from __future__ import annotations

from typing import Any

import numpy as np

from rl_lab_agents.fast import compiled, optimizers
from rl_lab_agents.fast.compiled import LINEAR
from rl_lab_agents.fast.jitting import jit

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


@jit
def greedy(params: Any, layers: Any, kind: int, x: Any, work: Any, out: Any) -> None:
    """The action of highest value for each row of `x`."""
    compiled.forward(params, layers, kind, LINEAR, x, work)
    values = compiled.output(layers, work, x.shape[0])
    for r in range(x.shape[0]):
        best = 0
        for c in range(1, values.shape[1]):
            if values[r, c] > values[r, best]:
                best = c
        out[r] = best


@jit
def gradient(
    params: Any, target: Any, grads: Any, layers: Any, kind: int, x: Any, actions: Any,
    following: Any, rewards: Any, ends: Any, gamma: float, work: Any, delta: Any,
) -> float:  # fmt: skip
    """Huber loss of one minibatch and its gradient.

    Args:
        params: Of the network, flat.
        target: Of the target network, as `compiled.turned` gives them.
        grads: Receives gradients.
        layers: The network's table.
        kind: Activation.
        x: Observations `[rows, numbers]`.
        actions: `[rows]`, whole numbers.
        following: The next observations.
        rewards: `[rows]`.
        ends: `[rows]`, 1 where the episode terminated.
        gamma: Discount.
        work: Workspace.
        delta: Workspace.

    Returns:
        The loss.
    """
    rows = x.shape[0]
    share, discount = _ONE / np.float32(rows), np.float32(gamma)
    compiled.forward(target, layers, kind, LINEAR, following, work, True)
    next_values = compiled.output(layers, work, rows)
    aims = np.empty(rows, np.float32)
    for r in range(rows):
        best = next_values[r, 0]
        for c in range(1, next_values.shape[1]):
            best = max(best, next_values[r, c])
        aims[r] = rewards[r] + (_ONE - ends[r]) * discount * best
    compiled.forward(params, layers, kind, LINEAR, x, work)
    values, out = compiled.output(layers, work, rows), compiled.output(layers, delta, rows)
    out[:, :] = _ZERO
    loss = _ZERO
    for r in range(rows):
        error = values[r, actions[r]] - aims[r]
        size = abs(error)
        loss += _HALF * error * error if size < _ONE else size - _HALF
        out[r, actions[r]] = min(max(error, -_ONE), _ONE) * share
    compiled.backward(params, grads, layers, kind, x, work, delta, True)
    return loss * share


@jit
def update(
    params: Any, target: Any, grads: Any, moments: Any, layers: Any, kind: int, x: Any,
    actions: Any, following: Any, rewards: Any, ends: Any, gamma: float, max_norm: float,
    lr: float, first: float, second: float, eps: float, step: int, work: Any, delta: Any,
) -> float:  # fmt: skip
    """Gradient steps on `[steps, rows, ...]` minibatches; the mean loss.

    See `gradient` and `actor_critic.update`.
    """
    total = 0.0
    still = compiled.turned(target, layers)
    for k in range(x.shape[0]):
        total += gradient(
            params, still, grads, layers, kind, x[k], actions[k], following[k], rewards[k],
            ends[k], gamma, work, delta,
        )  # fmt: skip
        scale, _ = optimizers.clip_factor(grads, max_norm)
        optimizers.adam(params, grads, moments, scale, lr, first, second, eps, step + k + 1)
    return total / x.shape[0]

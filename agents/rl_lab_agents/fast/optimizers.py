"""Optimisers as compiled functions over flat arrays, in torch's order of operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rl_lab_agents.fast.jitting import jit

_ZERO = np.float32(0.0)


@jit
def clip_factor(grads: Any, limit: float) -> Any:
    """What gradients are multiplied by to keep their norm within a limit, and the norm."""
    total = _ZERO
    for i in range(grads.shape[0]):
        total += grads[i] * grads[i]
    norm = math.sqrt(total)
    return np.float32(min(1.0, limit / (norm + 1e-6))), norm


@jit
def adam(
    params: Any, grads: Any, moments: Any, scale: Any, lr: float, beta1: float, beta2: float,
    eps: float, step: int,
) -> None:  # fmt: skip
    """One step of Adam in torch's order of operations; `moments` is `[2, parameters]`."""
    size = np.float32(lr / (1.0 - beta1**step))
    root = np.float32(1.0 / math.sqrt(1.0 - beta2**step))
    b1, c1 = np.float32(beta1), np.float32(1.0 - beta1)
    b2, c2 = np.float32(beta2), np.float32(1.0 - beta2)
    small = np.float32(eps)
    first, second = moments[0], moments[1]
    for i in range(params.shape[0]):
        g = grads[i] * scale
        m = b1 * first[i] + c1 * g
        v = b2 * second[i] + c2 * g * g
        first[i] = m
        second[i] = v
        params[i] -= size * (m / (np.sqrt(v) * root + small))


@jit
def rmsprop(
    params: Any, grads: Any, moments: Any, scale: Any, lr: float, alpha: float, eps: float
) -> None:
    """One step of RMSprop in torch's order of operations; `moments` is `[2, parameters]`."""
    a, c = np.float32(alpha), np.float32(1.0 - alpha)
    size, small = np.float32(lr), np.float32(eps)
    square = moments[0]
    for i in range(params.shape[0]):
        g = grads[i] * scale
        v = a * square[i] + c * g * g
        square[i] = v
        params[i] -= size * (g / (np.sqrt(v) + small))


@jit
def polyak(params: Any, target: Any, tau: float) -> None:
    """Move target parameters a part of the way."""
    t, kept = np.float32(tau), np.float32(1.0 - tau)
    for i in range(params.shape[0]):
        target[i] = kept * target[i] + t * params[i]

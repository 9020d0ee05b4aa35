"""Multi-layer perceptrons and returns as compiled functions over flat arrays.

All parameters of an optimiser lie in one float32 array. A network is a table with one row per
layer: inputs, outputs, offset of the weight `[outputs, inputs]`, offset of the bias. What its
layers gave for a batch lies in one flat workspace, layer after layer, each `[rows, outputs]`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rl_lab_agents.fast import products
from rl_lab_agents.fast.jitting import jit

TANH, RELU, LINEAR = 0, 1, 2

# Rational minimax approximation of tanh in float32, as Eigen and XLA use it: a few ulp.
_P = tuple(
    np.float32(c)
    for c in (
        4.89352455891786e-03,
        6.37261928875436e-04,
        1.48572235717979e-05,
        5.12229709037114e-08,
        -8.60467152213735e-11,
        2.00018790482477e-13,
        -2.76076847742355e-16,
    )
)
_Q = tuple(
    np.float32(c)
    for c in (
        4.89352518554385e-03,
        2.26843463243900e-03,
        1.18534705686654e-04,
        1.19825839466702e-06,
    )
)
_P0, _P1, _P2, _P3, _P4, _P5, _P6 = _P
_Q0, _Q1, _Q2, _Q3 = _Q
_LIMIT = np.float32(7.90531110763549805)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@jit
def tanh(x: Any) -> Any:
    """Hyperbolic tangent in float32, without a branch, so that loops over it vectorise."""
    x = min(max(x, -_LIMIT), _LIMIT)
    s = x * x
    p = _P5 + s * _P6
    p = _P4 + s * p
    p = _P3 + s * p
    p = _P2 + s * p
    p = _P1 + s * p
    p = _P0 + s * p
    q = _Q2 + s * _Q3
    q = _Q1 + s * q
    q = _Q0 + s * q
    return x * p / q


@jit
def finite(x: Any) -> bool:
    """Whether every number of a matrix is."""
    total = _ZERO
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            total += x[r, c] * _ZERO
    return math.isfinite(total)


@jit
def explained_variance(values: Any, returns: Any) -> float:
    """1 - variance of the error / variance of the returns, over flat arrays; else NaN."""
    mean, mean_error = 0.0, 0.0
    for i in range(returns.shape[0]):
        mean += returns[i]
        mean_error += returns[i] - values[i]
    mean /= returns.shape[0]
    mean_error /= returns.shape[0]
    whole, left = 0.0, 0.0
    for i in range(returns.shape[0]):
        whole += (returns[i] - mean) ** 2
        left += (returns[i] - values[i] - mean_error) ** 2
    return 1.0 - left / whole if whole > 0.0 else math.nan


@jit
def matrix(flat: Any, start: int, rows: int, columns: int) -> Any:
    """A part of a flat array as a matrix."""
    return flat[start : start + rows * columns].reshape(rows, columns)


@jit
def width(layers: Any) -> int:
    """Numbers per row of a batch in a network's workspace."""
    total = 0
    for k in range(layers.shape[0]):
        total += layers[k, 1]
    return total


@jit
def output(layers: Any, work: Any, rows: int) -> Any:
    """What the last layer gave, `[rows, outputs]`."""
    columns = layers[-1, 1]
    return matrix(work, rows * (width(layers) - columns), rows, columns)


@jit
def hidden(layers: Any, work: Any, rows: int) -> Any:
    """What the last layer got, `[rows, inputs]`; only for networks of two layers and more."""
    columns = layers[-1, 0]
    return matrix(work, rows * (width(layers) - columns - layers[-1, 1]), rows, columns)


@jit
def _activate(y: Any, bias: Any, kind: int) -> None:
    rows, columns = y.shape
    if kind == TANH:
        for r in range(rows):
            for c in range(columns):
                y[r, c] = tanh(y[r, c] + bias[c])
    elif kind == RELU:
        for r in range(rows):
            for c in range(columns):
                y[r, c] = max(y[r, c] + bias[c], _ZERO)
    else:
        for r in range(rows):
            for c in range(columns):
                y[r, c] += bias[c]


@jit
def through_activation(d: Any, y: Any, kind: int) -> None:
    """Multiply `d` by the activation's derivative, written in terms of what it gave."""
    rows, columns = y.shape
    if kind == TANH:
        for r in range(rows):
            for c in range(columns):
                d[r, c] *= _ONE - y[r, c] * y[r, c]
    elif kind == RELU:
        for r in range(rows):
            for c in range(columns):
                d[r, c] = d[r, c] if y[r, c] > _ZERO else _ZERO


@jit
def turned(params: Any, layers: Any) -> Any:
    """The same parameters with every weight as `[inputs, outputs]`, for many a `forward`."""
    out = params.copy()
    for k in range(layers.shape[0]):
        inputs, outputs, at = layers[k, 0], layers[k, 1], layers[k, 2]
        matrix(out, at, inputs, outputs)[:, :] = matrix(params, at, outputs, inputs).T
    return out


@jit
def forward(
    params: Any, layers: Any, kind: int, last: int, x: Any, work: Any, is_turned: bool = False
) -> None:
    """Run a network on a batch.

    Args:
        params: All parameters, flat.
        layers: The network's table.
        kind: Activation of the hidden layers.
        last: Activation of the last layer.
        x: Batch `[rows, inputs]`, contiguous.
        work: Receives every layer's output.
        is_turned: Whether the parameters are what `turned` gave.
    """
    rows = x.shape[0]
    position = 0
    before = x
    for k in range(layers.shape[0]):
        inputs, outputs = layers[k, 0], layers[k, 1]
        y = matrix(work, position, rows, outputs)
        if is_turned:
            products.through_weights(before, matrix(params, layers[k, 2], inputs, outputs), y)
        else:
            products.of_layer(before, matrix(params, layers[k, 2], outputs, inputs), y)
        bias = params[layers[k, 3] : layers[k, 3] + outputs]
        _activate(y, bias, last if k == layers.shape[0] - 1 else kind)
        before = y
        position += rows * outputs


@jit
def backward(
    params: Any, grads: Any, layers: Any, kind: int, x: Any, work: Any, delta: Any, weights: bool
) -> None:
    """Carry a gradient from a network's output back to its weights.

    Args:
        params: All parameters, flat.
        grads: Receives the gradients of this network's parameters, same layout.
        layers: The network's table.
        kind: Activation of the hidden layers.
        x: The batch that `forward` ran on.
        work: What `forward` left.
        delta: Workspace of the same layout whose last part holds the gradient with respect to the
            last layer's output before its activation; receives the others.
        weights: Whether the gradients of weights are wanted; else only `delta` is filled.
    """
    rows = x.shape[0]
    position = rows * width(layers)
    for k in range(layers.shape[0] - 1, -1, -1):
        inputs, outputs = layers[k, 0], layers[k, 1]
        position -= rows * outputs
        d = matrix(delta, position, rows, outputs)
        before = matrix(work, position - rows * inputs, rows, inputs) if k > 0 else x
        if weights:
            products.of_weights(d, before, matrix(grads, layers[k, 2], outputs, inputs))
            products.of_biases(d, grads[layers[k, 3] : layers[k, 3] + outputs])
        if k > 0:
            down = matrix(delta, position - rows * inputs, rows, inputs)
            products.through_weights(d, matrix(params, layers[k, 2], outputs, inputs), down)
            through_activation(down, before, kind)


@jit
def input_gradient(params: Any, layers: Any, delta: Any, rows: int, out: Any) -> None:
    """After `backward`: the gradient with respect to the network's input, `[rows, inputs]`."""
    inputs, outputs = layers[0, 0], layers[0, 1]
    weights = matrix(params, layers[0, 2], outputs, inputs)
    products.through_weights(matrix(delta, 0, rows, outputs), weights, out)


@jit
def advantages(
    rewards: Any, values: Any, starts: Any, last_values: Any, last_dones: Any, gamma: float,
    decay: float, advantage: Any, returns: Any,
) -> None:  # fmt: skip
    """Generalised advantage estimation over `[steps, environments]`.

    Args:
        rewards: Of each step, the value of a truncated episode's end included.
        values: Of each step's observation.
        starts: 1 where a step's observation is the first of an episode.
        last_values: `[environments]`, of the observations after the last step.
        last_dones: 1 where the last step ended an episode.
        gamma: Discount per step.
        decay: The lambda of the estimator.
        advantage: Receives advantages.
        returns: Receives advantage plus value.
    """
    steps, count = rewards.shape
    discount, trace = np.float32(gamma), np.float32(gamma * decay)
    for e in range(count):
        carried = _ZERO
        following = last_values[e]
        goes_on = _ONE - last_dones[e]
        for t in range(steps - 1, -1, -1):
            error = rewards[t, e] + discount * following * goes_on - values[t, e]
            carried = error + trace * goes_on * carried
            advantage[t, e] = carried
            returns[t, e] = carried + values[t, e]
            following = values[t, e]
            goes_on = _ONE - starts[t, e]

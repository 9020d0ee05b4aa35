"""Matrix products of layers and their gradients, cut into blocks that BLAS computes at full speed.

OpenBLAS has kernels for small matrices on processors with AVX-512. They neither pack nor copy and
reach 113 GFLOP/s where its kernels for large ones reach 74 to 92 (one core at 3.5 GHz, products of
64 to 256 columns); it takes them for up to a million multiplications, if the second factor is not
transposed. On other processors one block holds everything. Which holds is a matter of the processor
alone, so that the same machine repeats the same bits.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np

from rl_lab_agents.fast.jitting import jit

_HAS_SMALL_KERNELS = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
_MOST = 1_000_000 if _HAS_SMALL_KERNELS else 1 << 62
# Below these a block's overhead outweighs what it gains.
_FEWEST_ROWS, _FEWEST_COLUMNS = 64, 12
_COLUMNS = 48
_FEWEST_ROWS_TURNED, _MOST_WEIGHTS_TURNED = 128, 4096
_ZERO = np.float32(0)


@jit
def _block(size: int, multiplications: int) -> int:
    """How many of `size` rows fit, if each takes so many multiplications; a multiple of four."""
    most = _MOST // multiplications
    return size if most >= size else most - most % 4


@jit
def of_layer(x: Any, weights: Any, out: Any) -> None:
    """`x @ weights.T`, what a layer makes of a batch; small weights are turned round first.

    Args:
        x: `[rows, inputs]`.
        weights: `[outputs, inputs]`.
        out: `[rows, outputs]`; receives.
    """
    outputs, inputs = weights.shape
    is_worth = x.shape[0] >= _FEWEST_ROWS_TURNED and inputs * outputs <= _MOST_WEIGHTS_TURNED
    if _HAS_SMALL_KERNELS and is_worth and min(inputs, outputs) >= _FEWEST_COLUMNS:
        turned = np.empty((inputs, outputs), np.float32)
        turned[:, :] = weights.T
        through_weights(x, turned, out)
    else:
        np.dot(x, weights.T, out)


@jit
def through_weights(d: Any, weights: Any, out: Any) -> None:
    """`d @ weights`: the gradient of a layer's output, carried to its input.

    Args:
        d: `[rows, outputs]`.
        weights: `[outputs, inputs]`.
        out: `[rows, inputs]`; receives.
    """
    rows, outputs = d.shape
    block = _block(rows, outputs * weights.shape[1])
    if block < 4:
        block = rows
    for r in range(0, rows, block):
        np.dot(d[r : r + block], weights, out[r : r + block])


@jit
def of_weights(d: Any, x: Any, out: Any) -> None:
    """`d.T @ x`: the gradient of a layer's weights, by blocks of rows or of outputs.

    Args:
        d: `[rows, outputs]`, of the layer's output.
        x: `[rows, inputs]`, the layer's input.
        out: `[outputs, inputs]`; receives.
    """
    rows, outputs = d.shape
    block = _block(rows, outputs * x.shape[1])
    columns = _block(outputs, rows * x.shape[1])
    if block == rows:
        np.dot(d.T, x, out)
    elif block >= _FEWEST_ROWS:
        _by_rows(d, x, block, out)
    elif columns >= _FEWEST_COLUMNS:
        _by_outputs(d, x, min(columns, _COLUMNS), out)
    else:
        np.dot(d.T, x, out)


@jit
def of_biases(d: Any, out: Any) -> None:
    """The sum over rows of `d` `[rows, outputs]`, four rows per pass over `out` `[outputs]`."""
    rows = d.shape[0]
    out[:] = _ZERO
    whole = rows - rows % 4
    for r in range(0, whole, 4):
        one, two, three, four = d[r], d[r + 1], d[r + 2], d[r + 3]
        for c in range(out.shape[0]):
            out[c] += (one[c] + two[c]) + (three[c] + four[c])
    for r in range(whole, rows):
        for c in range(out.shape[0]):
            out[c] += d[r, c]


@jit
def _by_rows(d: Any, x: Any, block: int, out: Any) -> None:
    np.dot(d[:block].T, x[:block], out)
    more = np.empty(out.shape, np.float32)
    for r in range(block, d.shape[0], block):
        np.dot(d[r : r + block].T, x[r : r + block], more)
        for o in range(out.shape[0]):
            for i in range(out.shape[1]):
                out[o, i] += more[o, i]


@jit
def _by_outputs(d: Any, x: Any, block: int, out: Any) -> None:
    rows, outputs = d.shape
    copy = np.empty(rows * block, np.float32)
    for begin in range(0, outputs, block):
        count = min(block, outputs - begin)
        part = copy[: rows * count].reshape(rows, count)
        for r in range(rows):
            for c in range(count):
                part[r, c] = d[r, begin + c]
        np.dot(part.T, x, out[begin : begin + count])

"""The arithmetic of sizes within a graph, done on a few integers at a time.

Graphs compute some sizes from others (`Shape`, `Gather`, `Concat`, ...). ONNX's shape inference
needs their results as constants; its own way to get them makes arrays as large as the graph says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

SMALL = 64  # numbers; no shape has more

Shapes = dict[str, tuple[int, ...]]
Integers = np.ndarray


def fold(graph: Any, shapes: Shapes) -> bool:
    """Replace nodes whose integers are known by constants; whether there were any.

    Args:
        graph: Its nodes are in an order in which they can be run.
        shapes: What is known.
    """
    known = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.INT64
    }
    kept = []
    for node in graph.node:
        value = _value(node, shapes, known)
        if value is None:
            kept.append(node)
            continue
        known[node.output[0]] = value
        graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    folded = len(kept) < len(graph.node)
    if folded:
        del graph.node[:]
        graph.node.extend(kept)
    return folded


def _value(node: Any, shapes: Shapes, known: dict[str, Integers]) -> Integers | None:
    """What a node gives, where that is a few integers and its inputs are known."""
    attributes = {a.name: a for a in node.attribute}
    if node.op_type == "Shape" and not attributes and node.input[0] in shapes:
        return np.array(shapes[node.input[0]], np.int64)
    if node.op_type not in _OPERATIONS or any(name not in known for name in node.input):
        return None
    try:
        with np.errstate(over="ignore"):  # it wraps around, as it does in onnxruntime
            value = _OPERATIONS[node.op_type](attributes, *(known[name] for name in node.input))
    except (ValueError, TypeError, IndexError, KeyError):
        return None  # malformed; whoever asks for its size refuses it
    if value is None or value.dtype != np.int64 or value.size > SMALL:
        return None
    # Copied, as an array of its own that is stored in the usual order.
    return np.array(value, np.int64, order="C")


def _constant(attributes: dict[str, Any]) -> Integers | None:
    tensor = attributes["value"].t
    integers = tensor.data_type == TensorProto.INT64 and math.prod(tensor.dims) <= SMALL
    return numpy_helper.to_array(tensor) if integers else None


def _filled(attributes: dict[str, Any], shape: Integers) -> Integers | None:
    sizes = shape.tolist()
    if "value" not in attributes or min(sizes, default=0) < 0 or math.prod(sizes) > SMALL:
        return None
    value = _constant(attributes)
    return None if value is None else np.full(sizes, value.item())


def _cast(attributes: dict[str, Any], values: Integers) -> Integers | None:
    return values if attributes["to"].i == TensorProto.INT64 else None


def _reshaped(attributes: dict[str, Any], values: Integers, shape: Integers) -> Integers | None:
    # A zero copies a size of the input, which no exporter needs for a few integers.
    return None if (shape == 0).any() else values.reshape(shape.tolist())


def _sliced(
    _: dict[str, Any], values: Integers, starts: Integers, ends: Integers, *rest: Integers
) -> Integers:
    axes = rest[0].tolist() if rest else list(range(len(starts)))
    steps = rest[1].tolist() if len(rest) > 1 else [1] * len(starts)
    wanted = [slice(None)] * values.ndim
    for axis, start, end, step in zip(axes, starts.tolist(), ends.tolist(), steps, strict=True):
        # Going backwards, what lies before the first element is written as a huge negative end.
        wanted[axis] = slice(start, None if step < 0 and end < -values.shape[axis] else end, step)
    return values[tuple(wanted)]


_OPERATIONS: dict[str, Callable[..., Integers | None]] = {
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Cast": _cast,
    "Identity": lambda _, values: values,
    "Add": lambda _, one, two: one + two,
    "Sub": lambda _, one, two: one - two,
    "Mul": lambda _, one, two: one * two,
    "Concat": lambda a, *parts: np.concatenate(parts, a["axis"].i),
    "Gather": lambda a, values, at: np.take(values, at, a["axis"].i if "axis" in a else 0),
    "Reshape": _reshaped,
    "Slice": _sliced,
    "Transpose": lambda a, values: np.transpose(values, a["perm"].ints if "perm" in a else None),
    "Squeeze": lambda _, values, axes: np.squeeze(values, tuple(axes.tolist())),
    "Unsqueeze": lambda _, values, axes: np.expand_dims(values, tuple(axes.tolist())),
}

"""Floating-point operations of one decision, counted from the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Shape = tuple[int, ...]

# Moving, naming or converting numbers is not arithmetic.
_FREE = {
    "Cast",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "Identity",
    "OneHot",
    "Pad",
    "Reshape",
    "Shape",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
}
_BRANCHING = {"If", "Loop", "Scan"}


class Uncountable(Exception):
    """Why the operations cannot be counted, as a clause."""


def count(graph: bytes) -> int:
    """Operations of one decision: 2 per multiply-accumulate, 1 per element of the rest.

    Args:
        graph: An ONNX model whose free axes are the batch.

    Raises:
        Uncountable: An operator branches, or a shape is unknown.
    """
    import onnx  # a quarter of a second; only here

    model = onnx.load_from_string(graph)
    for value in [*model.graph.input, *model.graph.output]:
        for axis in value.type.tensor_type.shape.dim:
            if not axis.HasField("dim_value"):
                axis.dim_value = 1
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except onnx.shape_inference.InferenceError as error:
        raise Uncountable(f"shapes cannot be inferred: {str(error)[:200]}") from error
    shapes: dict[str, Shape] = {i.name: tuple(i.dims) for i in inferred.initializer}
    for value in [*inferred.input, *inferred.output, *inferred.value_info]:
        axes = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(a.HasField("dim_value") for a in axes):
            shapes[value.name] = tuple(a.dim_value for a in axes)
    return sum(_of_node(node, shapes) for node in inferred.node)


def _of_node(node: Any, shapes: dict[str, Shape]) -> int:
    if node.op_type in _BRANCHING:
        raise Uncountable(f"the graph branches ({node.op_type})")
    if node.op_type in _FREE:
        return 0
    try:
        ins = [shapes[name] if name else () for name in node.input]
        out = shapes[next(name for name in node.output if name)]
    except KeyError as error:
        raise Uncountable(f"the shape of {error} at {node.op_type} is unknown") from None
    return _COUNTS.get(node.op_type, _elementwise)(ins, out)


def _elementwise(ins: Sequence[Shape], out: Shape) -> int:
    """One per element, of what comes in where a reduction makes it fewer."""
    return max(math.prod(shape) for shape in (*ins[:1], out))


def _gemm(ins: Sequence[Shape], out: Shape) -> int:
    inner = math.prod(ins[0]) // out[0]
    bias = math.prod(out) if len(ins) > 2 else 0
    return 2 * math.prod(out) * inner + bias


def _matmul(ins: Sequence[Shape], out: Shape) -> int:
    return 2 * math.prod(out) * ins[0][-1]


def _conv(ins: Sequence[Shape], out: Shape) -> int:
    # The kernel is [out channels, in channels / groups, ...].
    bias = math.prod(out) if len(ins) > 2 else 0
    return 2 * math.prod(out) * math.prod(ins[1][1:]) + bias


def _recurrent(ins: Sequence[Shape], out: Shape) -> int:
    """The two products of LSTM, GRU or RNN; their gates are small beside them."""
    length, batch = ins[0][:2]
    return 2 * length * batch * (math.prod(ins[1]) + math.prod(ins[2]))


_COUNTS: dict[str, Callable[[Sequence[Shape], Shape], int]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": _conv,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
}

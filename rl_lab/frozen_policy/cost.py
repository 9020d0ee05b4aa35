"""What running a graph takes, known before it is run: every tensor's size, every product.

A few bytes of graph can ask for terabytes (`ConstantOfShape`) or for hours (a chain of products of
its results). ONNX's shape inference, with the batch size filled in, gives the size of every tensor
in every graph that freezing writes; a graph where it cannot is refused.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import onnx
from onnx import helper, shape_inference

from rl_lab.errors import BadInput
from rl_lab.frozen_policy import folding
from rl_lab.frozen_policy.folding import Shapes
from rl_lab.frozen_policy.rules import Rule, reason, refused

# All tensors of the golden batch together: at most 256 MB. Eight stacks of four 210x160 colour
# pictures through the usual convolutions need a half.
_ELEMENTS = 2**25
# Multiplications of the golden batch, about a second of one core; the same pictures need a third.
_PRODUCTS = 2**31
_PASSES = 8


@dataclasses.dataclass(frozen=True)
class Array:
    """One input or output of a graph, without its batch axis."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def check(model: Any, outputs: list[Array], batch: int) -> None:
    """Refuse a graph whose outputs are not the card's, or whose tensors are too large.

    Args:
        model: A checked ONNX model.
        outputs: What the card implies.
        batch: Decisions at once.

    Raises:
        BadInput: A size cannot be told, is not the expected one, or is too large.
    """
    try:
        shapes = _shapes(model, batch)
    except Exception as error:  # its errors and those of its C++ parts have no common type
        raise _unbounded(f"sizes cannot be inferred: {reason(error)}") from error
    elements = products = 0
    for node in model.graph.node:
        for name in filter(None, node.output):
            if name not in shapes:
                raise _unbounded(f"the size of what {node.op_type} gives cannot be told")
            elements += math.prod(shapes[name])
        products += _products(node, shapes)
        if elements > _ELEMENTS or products > _PRODUCTS:
            text = f"{elements} numbers and {products} multiplications or more"
            raise _unbounded(text, f"at most {_ELEMENTS} and {_PRODUCTS} for {batch} decisions")
    for array in outputs:
        if shapes[array.name] != (batch, *array.shape):
            raise refused(
                Rule.INTERFACE,
                f"output {array.name} of shape {shapes[array.name]}",
                f"shape {(batch, *array.shape)}, as the card says",
            )


def _unbounded(came: str, expected: str = "a graph of known cost") -> BadInput:
    return refused(Rule.MEMORY_AND_WORK, came, expected)


def _shapes(model: Any, batch: int) -> Shapes:
    """Shapes of all tensors of a graph for one batch size; without those that are not known."""
    copy = _skeleton(model, batch)
    shapes: Shapes = {}
    for _ in range(_PASSES):
        # Without its own propagation of data: that one builds what a graph asks for.
        found = shape_inference.infer_shapes(copy, strict_mode=True).graph
        shapes = _known([*copy.graph.input, *found.value_info, *found.output])
        shapes |= {tensor.name: tuple(tensor.dims) for tensor in copy.graph.initializer}
        if not folding.fold(copy.graph, shapes):
            break
    return shapes


def _skeleton(model: Any, batch: int) -> Any:
    """The model with its batch size filled in, and without weights and what it says of sizes."""
    copy = onnx.ModelProto()
    copy.ir_version = model.ir_version
    copy.opset_import.extend(model.opset_import)
    graph = copy.graph
    graph.name = "sizes"
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    for value in graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = batch
    graph.output.extend(model.graph.output)
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= folding.SMALL:
            graph.initializer.append(tensor)
        else:
            kind = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            graph.input.append(kind)
    return copy


def _known(values: list[Any]) -> Shapes:
    shapes = {}
    for value in values:
        tensor = value.type.tensor_type
        sizes = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
        if tensor.HasField("shape") and min(sizes, default=0) >= 0:
            shapes[value.name] = tuple(sizes)
    return shapes


def _products(node: Any, shapes: Shapes) -> int:
    """Multiplications of one node, from above."""
    inner = [shapes.get(name, ()) for name in node.input[:3]]
    size = sum(math.prod(shapes[name]) for name in node.output if name)
    if node.op_type in ("MatMul", "Gemm"):
        # The axis that is summed over is one of the last two of the first factor.
        return size * max(inner[0][-2:], default=1)
    if node.op_type == "Conv":
        return size * math.prod(inner[1][1:])
    if node.op_type in ("MaxPool", "AveragePool"):
        kernel = next(a.ints for a in node.attribute if a.name == "kernel_shape")
        return size * int(math.prod(kernel))
    if node.op_type in ("LSTM", "GRU", "RNN"):
        # Per step of the sequence, the first input's first axis, whichever outputs are used.
        return size * 4 * (inner[1][-1] + inner[2][-1]) * max(1, inner[0][0])
    return size

"""What a graph may hold: operators, tensors, and the inputs and outputs that its card implies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx

from rl_lab.errors import BadInput
from rl_lab.frozen_policy import cost, layout, wire
from rl_lab.frozen_policy.card import Card
from rl_lab.frozen_policy.rules import Rule, reason, refused, short

# What freezing writes. FROM_GRID: every operator in the graphs of tests/agents/
# test_freezing_grid.py (the 251 pairs, normalising, stacking, gSDE, LSTM layers), in the same
# graphs before any training, where equal weights make Identity, and with every activation function
# that a configuration can name. tests/frozen_policy/test_grid.py compares the two.
FROM_GRID = frozenset(
    (
        *("Add", "Div", "Exp", "MatMul", "Max", "Min", "Mul", "Pow", "Round", "Sqrt", "Sub"),
        *("ArgMax", "Cast", "Clip", "OneHot", "ReduceLogSumExp", "ReduceMean", "Where"),
        *("Constant", "ConstantOfShape", "Concat", "Expand", "Flatten", "Gather", "Identity"),
        *("Reshape", "Shape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"),
        *("Conv", "Gemm", "LSTM", "Elu", "Erf", "LeakyRelu", "Relu", "Sigmoid", "Tanh"),
    )
)
# What users' own layers add: torch's usual activations, arithmetic, comparisons, reductions,
# normalisations, pooling and recurrent cells. As above, none runs a subgraph, names a file or
# draws random numbers, and the size of what each gives can be inferred; keep it so.
FROM_LAYERS = frozenset(
    (
        *("Abs", "Ceil", "Cos", "Floor", "Log", "Mod", "Neg", "Reciprocal", "Sign", "Sin", "Sum"),
        *("And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or"),
        *("ArgMin", "LogSoftmax", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMin", "ReduceProd"),
        *("ReduceSum", "ReduceSumSquare", "Softmax"),
        *("Celu", "HardSigmoid", "HardSwish", "PRelu", "Selu", "Softplus", "Softsign"),
        *("BatchNormalization", "InstanceNormalization", "LayerNormalization"),
        *("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Pad"),
        *("GRU", "RNN"),
    )
)
OPERATORS = FROM_GRID | FROM_LAYERS
_CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})
# Freezing writes operator set 17; the meaning of another has not been tested.
_OPSETS = range(17, 18)
_IR_VERSIONS = range(8, 11)
_NODES = 2000  # the largest graph of the grid has 168
_WORDS = 200
_NUMBERS = {
    onnx.helper.np_dtype_to_tensor_dtype(np.dtype(name)): np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64"),
    )
}


def check(data: bytes, card: Card) -> None:
    """Refuse a graph that is not one that rl-lab could have frozen for this card.

    Raises:
        BadInput: It breaks a rule; names it.
    """
    wire.scan(data)
    try:
        # From bytes: this neither opens files nor resolves external data.
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf is no dependency of ours by name
        raise refused(Rule.GRAPH_FORMAT, f"no ONNX model: {reason(error)}") from error
    _check_opset(model)
    _check_operators(model.graph)
    _check_tensors(model.graph)
    _check_interface(model.graph, card)
    try:
        onnx.checker.check_model(data)
    except Exception as error:  # its errors and those of its C++ parts have no common type
        raise refused(Rule.CHECKER, f"onnx refuses it: {reason(error)}") from error
    batches = {1, len(card.golden["actions"])}
    for batch in sorted(batches):
        cost.check(model, _outputs(card), batch)


def _check_opset(model: Any) -> None:
    found = [(entry.domain, entry.version) for entry in model.opset_import]
    if any(domain for domain, _ in found):
        raise refused(
            Rule.OPERATORS, f"operators of the domain {short(found[-1][0])}", "ONNX's own"
        )
    if len(found) != 1 or found[0][1] not in _OPSETS or model.ir_version not in _IR_VERSIONS:
        versions = [version for _, version in found]
        raise refused(
            Rule.OPSET,
            f"operator sets {versions}, IR version {model.ir_version}",
            f"one operator set from {_OPSETS[0]} to {_OPSETS[-1]}, "
            f"IR {_IR_VERSIONS[0]} to {_IR_VERSIONS[-1]}",
        )


def _check_operators(graph: Any) -> None:
    if len(graph.node) > _NODES:
        raise refused(Rule.SIZES, f"{len(graph.node)} nodes", f"at most {_NODES}")
    for node in graph.node:
        if node.domain:
            raise refused(
                Rule.OPERATORS, f"an operator of the domain {short(node.domain)}", "ONNX's own"
            )
        if node.op_type in _CONTROL:
            raise refused(Rule.CODE, f"the control flow of {node.op_type}", "no branches, no loops")
        if node.op_type not in OPERATORS:
            raise refused(
                Rule.OPERATORS,
                f"the operator {short(node.op_type)}",
                "one of those that docs/frozen-policy.md allows",
                "Build the network from others.",
            )
        if len(node.input) + len(node.output) + len(node.attribute) > _WORDS:
            raise refused(Rule.SIZES, f"a node of over {_WORDS} parts", "fewer")


def _check_tensors(graph: Any) -> None:
    attributes = (a for node in graph.node for a in node.attribute)
    for tensor in [*graph.initializer, *(a.t for a in attributes if a.HasField("t"))]:
        name = f"the tensor {short(tensor.name)}"
        kind = _NUMBERS.get(tensor.data_type)
        if kind is None:
            raise refused(Rule.TENSORS, f"{name} of type {tensor.data_type}", "numbers or booleans")
        if any(size < 0 for size in tensor.dims):
            raise refused(Rule.TENSORS, f"{name} of shape {list(tensor.dims)}", "no negative size")
        expected = math.prod(tensor.dims) * kind.itemsize
        if len(tensor.raw_data) != expected:
            text = f"{name} of shape {list(tensor.dims)} in {len(tensor.raw_data)} bytes"
            raise refused(Rule.TENSORS, text, f"{expected} bytes")
        if kind.kind == "f":
            _check_finite(np.frombuffer(tensor.raw_data, kind), len(tensor.dims), name)


def _check_finite(numbers: np.ndarray, rank: int, name: str) -> None:
    # A vector may hold the bounds of a half-open action space; a weight matrix may not be infinite.
    if np.isnan(numbers).any() or (rank > 1 and not np.isfinite(numbers).all()):
        raise refused(Rule.TENSORS, f"{name} with NaN or infinite weights", "numbers")


def _inputs(card: Card) -> list[cost.Array]:
    space = card.observation_space
    pairs = zip(layout.input_names(space), layout.input_spaces(space), strict=True)
    found = [cost.Array(name, *layout.array_type(part)) for name, part in pairs]
    found += [cost.Array(s["name"], tuple(s["shape"]), np.dtype(s["dtype"])) for s in card.state]
    if card.action_masks:
        width = layout.mask_width(card.action_space)
        found.append(cost.Array(layout.MASK, (width,), np.dtype(bool)))
    return found


def _outputs(card: Card) -> list[cost.Array]:
    following = [
        cost.Array(f"next_{s['name']}", tuple(s["shape"]), np.dtype(s["dtype"])) for s in card.state
    ]
    return [cost.Array("action", *layout.array_type(card.action_space)), *following]


def _check_interface(graph: Any, card: Card) -> None:
    sides = (("input", graph.input, _inputs(card)), ("output", graph.output, _outputs(card)))
    for side, found, expected in sides:
        names = [value.name for value in found]
        if names != [array.name for array in expected]:
            raise _unlike(f"{side}s {short(', '.join(names))}", ", ".join(a.name for a in expected))
        for value, array in zip(found, expected, strict=True):
            _check_value(side, value, array)


def _check_value(side: str, value: Any, array: cost.Array) -> None:
    tensor = value.type.tensor_type
    if _NUMBERS.get(tensor.elem_type) != array.dtype:
        raise _unlike(f"{side} {array.name} of type {tensor.elem_type}", array.dtype.name)
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    # The exporter leaves some sizes of outputs open; what they come to is inferred later.
    pairs = list(zip(sizes[1:], array.shape, strict=False))
    fits = all(size == right or (size is None and side == "output") for size, right in pairs)
    if len(sizes) != 1 + len(array.shape) or sizes[0] is not None or not fits:
        raise _unlike(f"{side} {array.name} of shape {sizes}", f"{['batch', *array.shape]}")


def _unlike(came: str, expected: str) -> BadInput:
    return refused(Rule.INTERFACE, came, f"{expected}, as the card says")

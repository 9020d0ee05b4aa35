"""A graph without what it does not need to act."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx


def stripped(graph: bytes) -> bytes:
    """The same graph with fewer operators, and without notes, which name local source files."""
    model = onnx.load_from_string(graph)
    for node in model.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    model.doc_string = ""
    model.producer_name = "rl_lab"
    model.producer_version = ""
    _skip_monotonic(model.graph)
    _skip_identities(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _skip_monotonic(graph: onnx.GraphProto) -> None:
    """Let each ArgMax look behind softmax and log-normalisation, which keep the order.

    A categorical distribution's mode is the argmax of its probabilities; the argmax of its raw
    scores is the same but for float32 ties, and three operators cheaper.
    """
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type == "ArgMax":
            while (before := _same_order(node.input[0], makers)) is not None:
                node.input[0] = before
    _drop_unused(graph)


def _same_order(name: str, makers: Mapping[str, onnx.NodeProto]) -> str | None:
    """What an array was made from without changing which entry is largest; None if unknown."""
    node = makers.get(name)
    if node is None:
        return None
    if node.op_type == "Softmax":
        return str(node.input[0])
    normalizer = makers.get(node.input[1]) if node.op_type == "Sub" else None
    if normalizer is not None and normalizer.op_type == "ReduceLogSumExp":
        return str(node.input[0]) if normalizer.input[0] == node.input[0] else None
    return None


def _skip_identities(model: onnx.ModelProto) -> None:
    """Leave out Flatten and Reshape where they give the shape that they take.

    Each operator costs a small network's decision a third of a microsecond.
    """
    graph = model.graph
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {v.name: _shape(v) for v in (*inferred.input, *inferred.value_info, *inferred.output)}
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    same: dict[str, str] = {}
    for node in graph.node:
        source = same.get(node.input[0], node.input[0]) if node.input else ""
        for i, name in enumerate(node.input):
            node.input[i] = same.get(name, name)
        if node.op_type in ("Flatten", "Reshape") and _keeps(node, shapes.get(source), constants):
            same[node.output[0]] = source
    _drop_unused(graph)


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    """The sizes of an array, 0 where only running tells."""
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _keeps(
    node: onnx.NodeProto, shape: list[int] | None, constants: Mapping[str, np.ndarray]
) -> bool:
    """Whether a Flatten or a Reshape of `[batch, n]` gives `[batch, n]`."""
    if shape is None or len(shape) != 2 or shape[1] < 1:
        return False
    if node.op_type == "Flatten":
        return all(a.i == 1 for a in node.attribute if a.name == "axis")
    target = constants.get(node.input[1])
    return target is not None and target.tolist() == [-1, shape[1]]


def _drop_unused(graph: onnx.GraphProto) -> None:
    wanted = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    weights = [tensor for tensor in graph.initializer if tensor.name in wanted]
    del graph.initializer[:]
    graph.initializer.extend(weights)

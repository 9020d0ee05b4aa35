"""Graphs lose what changes nothing, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from rl_lab.freezing import simplifying


def model(shape: list[Any], rank: int, *nodes: Any, **constants: np.ndarray) -> bytes:
    """A graph from `observation` to `action`, floats both."""
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    values = [
        helper.make_tensor_value_info("observation", TensorProto.FLOAT, shape),
        helper.make_tensor_value_info("action", TensorProto.FLOAT, [*"abc"[:rank]]),
    ]
    graph = helper.make_graph(list(nodes), "g", values[:1], values[1:], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    return bytes(made.SerializeToString())


def operators(graph: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


def run(graph: bytes, observations: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(None, {"observation": observations})[0]


RESHAPE = helper.make_node("Reshape", ["flat", "sizes"], ["same"])
TANH = helper.make_node("Tanh", ["same"], ["action"])
FLATTEN = helper.make_node("Flatten", ["observation"], ["flat"], axis=1)


@pytest.mark.parametrize(
    ("shape", "sizes", "expected"),
    [
        (["n", 6], [-1, 6], ["Tanh"]),
        (["n", 2, 3], [-1, 6], ["Flatten", "Tanh"]),
        (["n", 6], [-1, 3], ["Reshape", "Tanh"]),
        (["n", 6], [-1, 2, 3], ["Reshape", "Tanh"]),
        (["n", "m"], [-1, 6], ["Flatten", "Reshape", "Tanh"]),
    ],
)
def test_only_what_keeps_the_shape_goes(
    shape: list[Any], sizes: list[int], expected: list[str]
) -> None:
    whole = model(shape, len(sizes), FLATTEN, RESHAPE, TANH, sizes=np.array(sizes, np.int64))
    simpler = simplifying.stripped(whole)
    assert operators(simpler) == expected
    size = [6 if s == "m" else s for s in shape[1:]]
    batch = np.random.default_rng(0).normal(size=(4, *size)).astype(np.float32)
    np.testing.assert_array_equal(run(simpler, batch), run(whole, batch))


def test_an_identity_that_is_the_output_stays() -> None:
    last = helper.make_node("Flatten", ["observation"], ["action"], axis=1)
    assert operators(simplifying.stripped(model(["n", 6], 2, last))) == ["Flatten"]

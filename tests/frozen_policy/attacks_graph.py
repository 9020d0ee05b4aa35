"""Attacks by the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from frozen_policy.attacking import as_bytes, on_graph
from frozen_policy.crafting import before_scores, field, varint
from onnx import TensorProto, helper

from rl_lab.frozen_policy.rules import Rule

# 21-31: lengths and tensors that do not fit.
as_bytes("21 length over file", Rule.GRAPH_FORMAT, lambda g, _: varint(7 << 3 | 2) + b"\x7f" + g)
as_bytes("22 length 2**63", Rule.GRAPH_FORMAT, lambda g, _: g + varint(7 << 3 | 2) + varint(2**63))
as_bytes("22 endless number", Rule.GRAPH_FORMAT, lambda g, _: varint(8) + b"\xff" * 100)
as_bytes("23 million nodes", Rule.SIZES, lambda g, _: field(7, field(1, b"") * 10**6))
on_graph("23 node of many inputs", Rule.SIZES, lambda m: m.graph.node[0].input.extend(["w"] * 300))
on_graph("23 nodes", Rule.SIZES, lambda m: m.graph.node.extend([m.graph.node[0]] * 3000))
on_graph("23 long name", Rule.SIZES, lambda m: setattr(m.graph, "name", "x" * 5000))
on_graph("26 fewer bytes", Rule.TENSORS, lambda m: m.graph.initializer[0].dims.append(2))
on_graph("27 negative", Rule.TENSORS, lambda m: m.graph.initializer[0].dims.__setitem__(0, -2))
on_graph("28 NaN", Rule.TENSORS, lambda m: _overwrite(m, float("nan")))
on_graph("28 infinity", Rule.TENSORS, lambda m: _overwrite(m, float("inf")))
on_graph("29 twice", Rule.CHECKER, lambda m: m.graph.initializer.append(m.graph.initializer[0]))
on_graph("30 missing", Rule.CHECKER, lambda m: m.graph.initializer.pop())
on_graph("30 text", Rule.GRAPH_FORMAT, lambda m: m.graph.initializer[0].string_data.append(b"x"))
on_graph("30 text type", Rule.TENSORS, lambda m: setattr(m.graph.initializer[0], "data_type", 8))
on_graph(
    "30 no such type", Rule.TENSORS, lambda m: setattr(m.graph.initializer[0], "data_type", 99)
)


def _overwrite(model: Any, value: float) -> None:
    tensor = model.graph.initializer[0]
    tensor.raw_data = np.full(len(tensor.raw_data) // 4, value, np.float32).tobytes()


# 46-57: the graph.


def _external(model: Any, location: str, **more: str) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


for _name, _place, _more in (
    ("46 above", "../../secret", {}),
    ("47 spelling", "a/../../secret", {}),
    ("48 through a folder", "folder/secret", {}),
    ("49 a name", "secret", {}),
    ("50 length -1", "secret", {"length": "-1"}),
    ("50 length 10**18", "secret", {"length": str(10**18), "offset": str(10**18)}),
    ("51 key", "secret", {"__class__": "x"}),
    ("57 address", "*/_ORT_MEM_ADDR_/*", {"offset": "4096", "length": "16"}),
):
    on_graph(
        _name, Rule.EXTERNAL_DATA, lambda m, place=_place, more=_more: _external(m, place, **more)
    )
on_graph(
    "46 only the mark",
    Rule.EXTERNAL_DATA,
    lambda m: setattr(m.graph.initializer[0], "data_location", 1),
)


def _functions(model: Any) -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for one, two in (("a", "b"), ("b", "a")):
        node = helper.make_node(two, ["x"], ["y"], domain="own")
        model.functions.append(helper.make_function("own", one, ["x"], ["y"], [node], opsets))
    model.opset_import.append(opsets[1])


def _branch(op: str, *names: str, **attributes: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        before_scores(model, helper.make_node(op, [*names], ["branch"], **attributes))

    return change


_BODY = helper.make_graph([], "body", [], [])
on_graph("52 cyclic functions", Rule.CODE, _functions)
on_graph("54 loop", Rule.CODE, _branch("Loop", "n", "c", body=_BODY))
on_graph("54 if", Rule.CODE, _branch("If", "c", then_branch=_BODY, else_branch=_BODY))
on_graph("54 scan without a body", Rule.CODE, _branch("Scan", "observation"))
on_graph("54 training", Rule.CODE, lambda m: m.training_info.add())
on_graph(
    "53 node of another domain",
    Rule.OPERATORS,
    lambda m: setattr(m.graph.node[0], "domain", "ai.onnx.contrib"),
)
on_graph(
    "53 domain",
    Rule.OPERATORS,
    lambda m: m.opset_import.append(helper.make_opsetid("com.microsoft", 1)),
)
for _op in ("RandomNormal", "RandomUniformLike", "Multinomial", "NonZero", "Einsum", "PyOp"):
    on_graph(f"36 operator {_op}", Rule.OPERATORS, _branch(_op, "observation"))
for _version in (999, 16, 18, 0, -1):
    on_graph(
        f"55 operator set {_version}",
        Rule.OPSET,
        lambda m, v=_version: setattr(m.opset_import[0], "version", v),
    )
on_graph("55 IR version", Rule.OPSET, lambda m: setattr(m, "ir_version", 99))
on_graph("55 two sets", Rule.OPSET, lambda m: m.opset_import.add(domain="", version=17))
as_bytes("56 flat format", Rule.GRAPH_FORMAT, lambda g, _: b"\x18\0\0\0ORTM" + g)
# One field of six characters puts the mark where onnxruntime looks for it, in valid protobuf.
as_bytes("56 both formats", Rule.GRAPH_FORMAT, lambda g, _: field(6, b"xxORTM") + g)
on_graph("36 metadata", Rule.GRAPH_FORMAT, lambda m: m.metadata_props.add(key="a", value="b"))
on_graph("36 sparse", Rule.GRAPH_FORMAT, lambda m: m.graph.sparse_initializer.add())
as_bytes("36 two graphs", Rule.GRAPH_FORMAT, lambda g, _: g + field(7, b""))
as_bytes("36 name of no text", Rule.GRAPH_FORMAT, lambda g, _: g.replace(b"ArgMax", b"ArgMa\xff"))
as_bytes("36 nothing", Rule.OPSET, lambda g, _: b"")
on_graph("36 cycle", Rule.CHECKER, lambda m: m.graph.node[0].input.__setitem__(2, "action"))


def _rename(side: str, name: str) -> Callable[[Any], None]:
    return lambda m: setattr(getattr(m.graph, side)[0], "name", name)


def _tensor(model: Any, side: str) -> Any:
    return getattr(model.graph, side)[0].type.tensor_type


on_graph("39 other input", Rule.INTERFACE, _rename("input", "state"))
on_graph("39 other output", Rule.INTERFACE, _rename("output", "scores"))
on_graph("39 more outputs", Rule.INTERFACE, lambda m: m.graph.output.append(m.graph.output[0]))
on_graph(
    "39 type",
    Rule.INTERFACE,
    lambda m: setattr(_tensor(m, "input"), "elem_type", TensorProto.DOUBLE),
)
on_graph("39 rank", Rule.INTERFACE, lambda m: _tensor(m, "input").shape.dim.add(dim_value=1))
on_graph(
    "39 one decision only",
    Rule.INTERFACE,
    lambda m: setattr(_tensor(m, "input").shape.dim[0], "dim_value", 1),
)

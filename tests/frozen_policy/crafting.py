"""Folders that are wrong in exactly one way: everything else, hashes included, is put right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rl_lab import files
from rl_lab.frozen_policy.card import sealed

CARD, GRAPH = "policy.json", "policy.onnx"


def card(folder: Path) -> dict[str, Any]:
    """The card's data, without their hash."""
    data = json.loads((folder / CARD).read_text())
    data.pop("card_sha256", None)
    return data


def edit(folder: Path, **changes: Any) -> None:
    """Change fields of the card; its hash is made anew."""
    data = {**card(folder), **changes}
    (folder / CARD).write_text(json.dumps(sealed(data)))


def edit_text(folder: Path, old: str, new: str) -> None:
    """Change the card's text; the hash stays."""
    text = (folder / CARD).read_text()
    assert old in text
    (folder / CARD).write_text(text.replace(old, new, 1))


def put_graph(folder: Path, data: bytes) -> None:
    """Put other bytes in the graph's place, with a card that vouches for them."""
    (folder / GRAPH).write_bytes(data)
    edit(folder, onnx_sha256=files.sha256(data))


def edit_graph(folder: Path, change: Callable[[Any], object]) -> None:
    """Change the ONNX model."""
    model = onnx.load_model_from_string((folder / GRAPH).read_bytes())
    change(model)
    put_graph(folder, model.SerializeToString())


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value: int) -> bytes:
    """A protobuf integer."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def initializer(model: Any, name: str, values: Any) -> str:
    """Add a tensor to a model; its name."""
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return name


def before_scores(model: Any, *nodes: Any) -> None:
    """Put nodes in front; the last one's output is added to the scores as a number."""
    graph = model.graph
    old = list(graph.node)
    last = nodes[-1].output[0]
    extra = [
        helper.make_node("Cast", [last], ["extra as float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["extra as float"], ["extra"], keepdims=0),
        helper.make_node("Add", ["scores", "extra"], ["scores with extra"]),
    ]
    old[-1].input[0] = "scores with extra"
    del graph.node[:]
    graph.node.extend([*old[:-1], *nodes, *extra, old[-1]])

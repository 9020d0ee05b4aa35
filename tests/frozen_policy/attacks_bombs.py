"""A few bytes, or as many as fit, that ask for gigabytes or hours."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from frozen_policy.attacking import ATTACKS, on_graph
from frozen_policy.crafting import CARD, GRAPH, before_scores, card, field, initializer, put_graph
from onnx import TensorProto, helper

from rl_lab.frozen_policy.rules import Rule

# 37, 38: a few bytes that ask for gigabytes or hours.


def _bomb(*sizes: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        name = initializer(model, "sizes", np.array(sizes, np.int64))
        before_scores(model, helper.make_node("ConstantOfShape", [name], ["zeros"]))

    return change


def _chain(model: Any) -> None:
    name = initializer(model, "sizes", np.array([2000, 2000], np.int64))
    nodes = [helper.make_node("ConstantOfShape", [name], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{i}", f"m{i}"], [f"m{i + 1}"]) for i in range(8)]
    before_scores(model, *nodes)


def _outer(model: Any) -> None:
    column = initializer(model, "column", np.ones((10**5, 1), np.float32))
    row = initializer(model, "row", np.ones((1, 10**5), np.float32))
    before_scores(model, helper.make_node("MatMul", [column, row], ["product"]))


def _power_of_batch(model: Any) -> None:
    """Small for one decision, 8**12 numbers for the golden eight."""
    first = initializer(model, "first", np.array([0], np.int64))
    nodes = [
        helper.make_node("Shape", ["observation"], ["shape"]),
        helper.make_node("Gather", ["shape", first], ["n0"]),
        *(helper.make_node("Mul", [f"n{i}", "n0"], [f"n{i + 1}"]) for i in range(11)),
        helper.make_node("ConstantOfShape", ["n11"], ["zeros"]),
    ]
    before_scores(model, *nodes)


def _one_hot(model: Any) -> None:
    depth = initializer(model, "depth", np.array(10**12, np.int64))
    values = initializer(model, "values", np.array([0, 1], np.float32))
    index = initializer(model, "index", np.array([1], np.int64))
    before_scores(model, helper.make_node("OneHot", [index, depth, values], ["hot"]))


def _of_data(model: Any) -> None:
    """A size that only running tells."""
    nodes = [
        helper.make_node("Cast", ["observation"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Flatten", ["whole"], ["flat"], axis=0),
        helper.make_node("Squeeze", ["flat"], ["sizes"]),
        helper.make_node("ConstantOfShape", ["sizes"], ["zeros"]),
    ]
    before_scores(model, *nodes)


def _long_sequence(model: Any) -> None:
    """An hour of an LSTM whose only output used is the last, small one."""
    hidden, steps = 256, 2**16
    sizes = {"x": (steps, 1, 1), "w": (1, 4 * hidden, 1), "r": (1, 4 * hidden, hidden)}
    nodes = []
    for name, shape in sizes.items():
        size = initializer(model, f"size {name}", np.array(shape, np.int64))
        nodes.append(helper.make_node("ConstantOfShape", [size], [f"lstm {name}"]))
    inputs = [f"lstm {name}" for name in sizes]
    nodes.append(helper.make_node("LSTM", inputs, ["", "last"], hidden_size=hidden))
    before_scores(model, *nodes, helper.make_node("Identity", ["last"], ["small"]))


on_graph("38 a terabyte", Rule.MEMORY_AND_WORK, _bomb(10**6, 10**6))
on_graph("38 over 64 bits", Rule.MEMORY_AND_WORK, _bomb(2**62, 2**62))
on_graph("38 negative", Rule.MEMORY_AND_WORK, _bomb(-1, 10))
on_graph("37 products", Rule.MEMORY_AND_WORK, _chain)
on_graph("37 long sequence", Rule.MEMORY_AND_WORK, _long_sequence)
on_graph("38 outer product", Rule.MEMORY_AND_WORK, _outer)
on_graph("38 power of the batch", Rule.MEMORY_AND_WORK, _power_of_batch)
on_graph("38 one hot", Rule.MEMORY_AND_WORK, _one_hot)
on_graph("38 told by data", Rule.MEMORY_AND_WORK, _of_data)


def sparse(folder: Path) -> None:
    """A graph of 10 GB that takes no space on disk."""
    os.truncate(folder / GRAPH, 10 * 2**30)


ATTACKS["38 file of 10 GB"] = (Rule.SIZES, sparse)


def dense(folder: Path) -> None:
    """As many bytes of empty nodes as a graph may have."""
    put_graph(folder, field(7, b"\x0a\0" * (2**25 - 20)))


def numbers(folder: Path) -> None:
    """As many numbers as a card may have."""
    text = json.dumps(card(folder))
    many = "1.5," * (2**21 - len(text)) + "1.5"
    (folder / CARD).write_text(text.replace('"provenance": {}', f'"provenance": {{"a": [{many}]}}'))


ATTACKS["38 as many nodes as fit"] = (Rule.SIZES, dense)
ATTACKS["34 as many numbers as fit"] = (Rule.FIELDS, numbers)

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from rl_lab.evaluation.speed import cold_start, energy, flops, surroundings
from rl_lab.evaluation.speed.energy import Counter, Span


def graph(nodes: list[Any], shape: list[Any], **weights: tuple[int, ...]) -> bytes:
    """A model from `observation` to `action` with zeros as weights."""
    arrays = [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in weights.items()]
    values = [
        helper.make_tensor_value_info("observation", TensorProto.FLOAT, shape),
        helper.make_tensor_value_info("action", TensorProto.UNDEFINED, None),
    ]
    made = helper.make_graph(nodes, "g", values[:1], values[1:], arrays)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(model.SerializeToString())


def test_the_operations_of_an_mlp_made_by_hand() -> None:
    nodes = [
        helper.make_node("Flatten", ["observation"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w1", "b1"], ["h1"], transB=1),
        helper.make_node("Tanh", ["h1"], ["a1"]),
        helper.make_node("MatMul", ["a1", "w2"], ["h2"]),
        helper.make_node("Add", ["h2", "b2"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["action"], axis=1, keepdims=0),
    ]
    made = graph(nodes, ["batch", 4], w1=(64, 4), b1=(64,), w2=(64, 3), b2=(3,))
    first = 2 * 4 * 64 + 64
    second = 2 * 64 * 3 + 3
    assert flops.count(made) == first + 64 + second + 3


def test_the_operations_of_a_convolution_made_by_hand() -> None:
    nodes = [
        helper.make_node("Conv", ["observation", "w", "b"], ["h"], strides=[2, 2]),
        helper.make_node("Relu", ["h"], ["action"]),
    ]
    made = graph(nodes, ["batch", 3, 9, 9], w=(8, 3, 3, 3), b=(8,))
    outputs = 8 * 4 * 4
    assert flops.count(made) == outputs * (2 * 27 + 1 + 1)


def test_groups_share_the_work_of_a_convolution() -> None:
    nodes = [helper.make_node("Conv", ["observation", "w"], ["action"], group=4)]
    assert flops.count(graph(nodes, [1, 4, 5, 5], w=(4, 1, 5, 5))) == 2 * 4 * 25


def test_the_products_of_an_lstm_made_by_hand() -> None:
    nodes = [
        helper.make_node("LSTM", ["observation", "w", "r"], ["", "action"], hidden_size=16),
    ]
    made = graph(nodes, [1, "batch", 5], w=(1, 64, 5), r=(1, 64, 16))
    assert flops.count(made) == 2 * 64 * (5 + 16)


def test_what_cannot_be_counted_says_why() -> None:
    branch = helper.make_graph([], "b", [], [])
    nodes = [
        helper.make_node("If", ["observation"], ["action"], then_branch=branch, else_branch=branch)
    ]
    with pytest.raises(flops.Uncountable, match="branches"):
        flops.count(graph(nodes, [1]))
    nodes = [helper.make_node("Unheard", ["observation"], ["h"], domain="x")]
    nodes += [helper.make_node("Relu", ["h"], ["action"])]
    with pytest.raises(flops.Uncountable, match="Unheard"):
        flops.count(graph(nodes, [1]))
    nodes = [
        helper.make_node("NonZero", ["observation"], ["h"]),
        helper.make_node("Tanh", ["h"], ["action"]),
    ]
    with pytest.raises(flops.Uncountable, match="shape of 'h' at NonZero is unknown"):
        flops.count(graph(nodes, [3]))


def make_zone(root: Path, folder: str, name: str, energy_uj: object = 100) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    for file, text in (("name", name), ("energy_uj", energy_uj), ("max_energy_range_uj", 1_000)):
        (path / file).write_text(f"{text}\n")
    return path


def test_only_packages_count_and_each_once(tmp_path: Path) -> None:
    first = make_zone(tmp_path, "intel-rapl:0", "package-0")
    second = make_zone(tmp_path, "intel-rapl:1", "package-1")
    make_zone(tmp_path, "intel-rapl:0:0", "core")
    make_zone(tmp_path, "intel-rapl:2", "psys")
    make_zone(tmp_path, "intel-rapl-mmio:0", "package-0")
    found, reason = energy.counters(tmp_path)
    assert [counter.path for counter in found] == [first, second]
    assert reason == ""


def test_an_unreadable_counter_is_a_reason(tmp_path: Path) -> None:
    assert energy.counters(tmp_path) == ([], "no RAPL package under powercap")
    make_zone(tmp_path, "intel-rapl:0", "package-0", energy_uj="?")
    found, reason = energy.counters(tmp_path)
    assert found == []
    assert reason.startswith("RAPL cannot be read")


def test_a_counter_that_starts_again_loses_nothing(tmp_path: Path) -> None:
    zone = make_zone(tmp_path, "intel-rapl:0", "package-0", energy_uj=900)
    counter = Counter(zone, 1_000)
    assert counter.spent_uj(100, 350) == 250
    assert counter.spent_uj(900, 150) == 250

    def work() -> int:
        (zone / "energy_uj").write_text("150")
        return 7

    span = energy.watch(work, [counter])
    assert span.calls == 7
    assert span.joules == pytest.approx(250e-6)


def test_joules_are_told_with_and_without_the_rest() -> None:
    span, rest = Span(2_000, 2.0, 1.5, joules=50.0), Span(0, 4.0, 0.0, joules=40.0)
    data = energy.per_thousand(span, rest, "")
    assert data["rest_watts"] == 10.0
    assert data["gross_joules_per_1000"] == 25.0
    assert data["joules_per_1000"] == 15.0
    assert data["cpu_s_per_1000"] == 0.75


def test_without_a_counter_there_is_processor_time(tmp_path: Path) -> None:
    data = energy.measure({"a": lambda: None}, 1e-4, root=tmp_path)["a"]
    assert data["source"] == "unavailable"
    assert data["joules_per_1000"] is None
    assert "powercap" in data["joules_per_1000_reason"]
    assert data["cpu_s_per_1000"] >= 0
    data = energy.per_thousand(Span(4_000, 9.0, 2.0, joules=None), None, "why")
    assert data["cpu_s_per_1000"] == 0.5


def test_amortisation_by_hand() -> None:
    assert energy.amortisation_decisions(30.0, 1e-5) == pytest.approx(3e6)
    assert energy.amortisation_decisions(None, 1e-5) is None


def test_a_cold_start_is_the_median_of_several() -> None:
    keys = ("total_s", "import_s", "load_s", "first_action_s")
    starts = [{**{k: float(i) for k in keys}, "memory_bytes": 10 * i} for i in (3, 1, 2)]
    data = cold_start.summary(starts)
    assert data == {"cold_start": {"repeats": 3, **dict.fromkeys(keys, 2.0)}, "memory_bytes": 20}
    starts[0]["memory_bytes"] = starts[1]["memory_bytes"] = starts[2]["memory_bytes"] = None
    assert cold_start.summary(starts)["memory_bytes_reason"] == "the system does not say"
    failed = cold_start.summary([*starts, {"error": "MemoryError"}])
    assert failed["cold_start"] is failed["memory_bytes"] is None
    assert "MemoryError" in failed["cold_start_reason"]


def test_a_folder_without_a_policy_fails_by_name(tmp_path: Path) -> None:
    data = cold_start.measure({"a": tmp_path}, 1)["a"]
    assert data["cold_start"] is None
    assert "holds no frozen policy" in data["cold_start_reason"]


def test_the_machine_is_described_as_far_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "governor").write_text("performance\n")
    card = surroundings.card([1.0, 2.0, 3.0], tmp_path / "governor")
    assert card["governor"] == "performance"
    assert card["load_average_before"] == [1.0, 2.0, 3.0]
    assert {"system", "processor", "cores", "versions", "load_average_after"} <= set(card)
    card = surroundings.card(None, tmp_path / "absent")
    assert card["governor"] is card["load_average_before"] is None
    assert card["governor_reason"]
    assert card["load_average_before_reason"]

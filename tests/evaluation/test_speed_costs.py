from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from rl_lab.energy import Counter, Counters, Meter, Meters
from rl_lab.evaluation.speed import cold_start, energy, flops, surroundings
from rl_lab.evaluation.speed.contrast import Known, contrast
from rl_lab.evaluation.speed.energy import Span


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


def span(calls: int, wall_s: float, cpu_s: float, **joules: Any) -> Span:
    silent = {"joules_reason": "no package", "gpu_joules_reason": "no GPU"}
    found = {"source": "", "joules": None, "gpu_joules": None, **silent, **joules}
    return Span(calls, wall_s, cpu_s, found)


def test_joules_are_told_with_and_without_the_rest() -> None:
    data = energy.per_thousand(
        span(2_000, 2.0, 1.5, joules=50.0, gpu_joules=180.0),
        span(0, 4.0, 0.0, joules=40.0, gpu_joules=320.0),
    )
    assert data["rest_watts"] == 10.0
    assert data["gross_joules_per_1000"] == 25.0
    assert data["joules_per_1000"] == 15.0
    assert data["rest_gpu_watts"] == 80.0
    assert data["gross_gpu_joules_per_1000"] == 90.0
    assert data["gpu_joules_per_1000"] == 10.0
    assert data["cpu_s_per_1000"] == 0.75


def test_a_gpu_alone_does_not_stand_for_the_processor() -> None:
    data = energy.per_thousand(span(10, 1.0, 1.0, gpu_joules=3.0), span(0, 1.0, 0, gpu_joules=3.0))
    assert data["joules_per_1000"] is None
    assert data["joules_per_1000_reason"] == "no package"
    assert data["gpu_joules_per_1000"] == 0.0


def test_what_is_counted_around_the_decisions_is_theirs() -> None:
    readings = iter(range(0, 10**9, 5_000_000))
    begun: list[Meters] = []

    def begin() -> Meters:
        package = Counters("RAPL package", (Counter(lambda: next(readings), None),), "")
        begun.append(Meters(Meter(package), Meter(Counters("NVML GPU", (), "no GPU"))))
        return begun[-1]

    data = energy.measure({"a": lambda: None, "b": lambda: None}, 1e-4, begin)
    for found in data.values():
        # From one reading to the next the counter moves by 5 J.
        assert found["gross_joules_per_1000"] == pytest.approx(5e3 / found["calls"], abs=1e-6)
        assert found["source"] == "RAPL package"
        assert found["gpu_joules_per_1000_reason"] == "no GPU"


def test_without_a_counter_there_is_processor_time() -> None:
    def begin() -> Meters:
        return Meters(*(Meter(Counters("", (), reason)) for reason in ("no package", "no GPU")))

    data = energy.measure({"a": lambda: None}, 1e-4, begin)["a"]
    assert data["source"] == "unavailable"
    assert data["joules_per_1000"] is data["gpu_joules_per_1000"] is None
    assert data["joules_per_1000_reason"] == "no package"
    assert data["cpu_s_per_1000"] >= 0
    assert energy.per_thousand(span(4_000, 9.0, 2.0), span(0, 1.0, 0))["cpu_s_per_1000"] == 0.5


def test_training_against_inference_by_hand() -> None:
    times = {"mean_us": 10.0, "energy": {"gross_joules_per_1000": 0.2}}
    data = contrast(Known(30.0, 600.0, "", 200.0), times)
    assert data["amortisation_decisions"] == 3_000_000
    assert data["amortisation_decisions_by_energy"] == 3_000_000
    assert data["episode"] == {"steps": 200.0, "seconds": 0.002, "joules": 0.04}


@pytest.mark.parametrize(
    ("known", "times", "reason"),
    [
        (Known(None, None, "", 9.0), {"gross_joules_per_1000": 1.0}, "without its run"),
        (Known(1.0, None, "no counter then", 9.0), {"gross_joules_per_1000": 1.0}, "counter then"),
        (Known(1.0, 5.0, "", 9.0), {"joules_per_1000_reason": "no counter now"}, "counter now"),
        (Known(1.0, 5.0, "", 9.0), {"gross_joules_per_1000": 0.0}, "did not move"),
        (Known(1.0, 5.0, "", 9.0), None, "left out"),
    ],
)
def test_energy_that_one_side_lacks_is_a_reason(known: Known, times: Any, reason: str) -> None:
    data = contrast(known, {"mean_us": 10.0, "energy": times, "energy_reason": "left out"})
    assert data["amortisation_decisions_by_energy"] is None
    assert reason in data["amortisation_decisions_by_energy_reason"]


def test_without_an_episode_none_is_priced() -> None:
    data = contrast(Known(1.0, None, "x", None), {"mean_us": 10.0, "energy": None})
    assert data["episode"] is None
    assert data["episode_reason"] == "no episode in the training context"


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

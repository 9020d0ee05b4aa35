from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from fakes import always, linear_policy, saved

from rl_lab.errors import BadInput, Failed
from rl_lab.evaluation import speed

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = speed.Settings(
    calls=400,
    repeats=2,
    warm_up_s=0.0,
    server_s=0.05,
    offline_s=0.02,
    multi_stream_s=0.01,
    energy_s=0.01,
    cold_start_repeats=1,
    reference=False,
)
LEAST = dataclasses.replace(
    EVERYTHING,
    repeats=1,
    server_s=0.0,
    offline_s=0.0,
    multi_stream_s=0.0,
    energy_s=0.0,
    cold_start_repeats=0,
)
# As before the other scenarios were measured; the report reads them.
FLAT = {
    "calls",
    "p50_us",
    "p90_us",
    "p99_us",
    "max_us",
    "mean_us",
    "p90_low_us",
    "p90_high_us",
    "steps_per_second",
    "load_s",
    "graph_bytes",
    "parameters",
    "deadline_us",
    "deadline_miss_rate",
}
NESTED = {"server", "offline", "multi_stream", "energy", "cold_start", "memory_bytes"}


def measured(policies: dict[str, Path], settings: speed.Settings, **costs: float) -> Any:
    return speed.measure(
        policies,
        settings,
        step_limit=50,
        imports=("fakes",),
        deadline_s=0.02,
        known={n: speed.Known(costs.get(n), None, "nobody counted", 7.5) for n in policies},
        references=dict.fromkeys(policies, "nobody asked"),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("speed")
    linear = linear_policy("FakeCountdown-v0", [[1.0, 0.5], [-1.0, 0.25]], [0.0, 0.1])
    policies = {"a": saved(always(1), folder / "a"), "b": saved(linear, folder / "b")}
    return measured(policies, EVERYTHING, a=100.0)


def test_every_contestant_has_everything(data: Any) -> None:
    assert data["threads"] == 1
    assert data["settings"] == dataclasses.asdict(EVERYTHING)
    assert {"system", "processor", "cores"} <= set(data["machine"])
    for contestant in data["contestants"].values():
        found = {key for key, value in contestant.items() if value is not None}
        assert found >= FLAT | NESTED | {"flops", "batch_mismatch_rate", "intervals"}
        assert contestant["calls"] == 800
        assert contestant["batch_mismatch_rate"] == 0.0
        assert contestant["parameters"] == 6
        # One 2x2 product with its bias, and the comparison of two scores.
        assert contestant["flops"] == 2 * 4 + 2 + 2
        assert contestant["p50_us"] <= contestant["p90_us"] <= contestant["p99_us"]
        assert len(contestant["server"]["levels"]) == 10


def test_amortisation_needs_the_training(data: Any) -> None:
    a, b = data["contestants"]["a"], data["contestants"]["b"]
    assert a["amortisation_decisions"] == pytest.approx(100.0 / (a["mean_us"] / 1e6), rel=1e-3)
    assert b["amortisation_decisions"] is None
    assert "without its run" in b["amortisation_decisions_reason"]


def test_an_episode_costs_its_decisions(data: Any) -> None:
    a = data["contestants"]["a"]
    assert a["episode"]["steps"] == 7.5
    assert a["episode"]["seconds"] == pytest.approx(7.5 * a["mean_us"] / 1e6, rel=1e-5)


def test_every_key_stands_in_the_formats_page(data: Any) -> None:
    page = (ROOT / "docs" / "formats.md").read_text().split("### `speed.json`")[1]

    def keys(part: Any) -> set[str]:
        if isinstance(part, list):
            return set().union(*map(keys, part))
        if not isinstance(part, dict):
            return set()
        return {str(k) for k in part}.union(*map(keys, part.values()))

    parts = data["contestants"]["a"], data["contestants"]["b"]
    found = set(data) | keys(list(parts)) | set(data["machine"])
    assert {key for key in found if not key.endswith("_reason") and key not in page} == set()


def test_what_is_left_out_says_by_which_setting(tmp_path: Path) -> None:
    found = measured({"a": saved(always(1), tmp_path / "a")}, LEAST)["contestants"]["a"]
    for key in NESTED:
        assert found[key] is None
        assert found[f"{key}_reason"].startswith("left out by evaluation.speed.")
    assert found["calls"] == 400
    assert "order statistics" in found["intervals"]["p90"]["method"]


def test_a_process_that_dies_is_an_error(tmp_path: Path) -> None:
    policy = always(1, "FakeFaulty-v0", kwargs={"fault": "die"})
    with pytest.raises(Failed, match="died"):
        measured({"a": saved(policy, tmp_path / "a")}, LEAST)


@pytest.mark.parametrize(("key", "given"), [("calls", -1), ("repeats", 0), ("server_s", -0.5)])
def test_settings_out_of_range_are_refused(key: str, given: float) -> None:
    with pytest.raises(BadInput, match=rf"evaluation\.speed\.{key}="):
        dataclasses.replace(EVERYTHING, **{key: given})

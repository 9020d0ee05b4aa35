"""Thousands of damaged folders: each loads as what it says it is, or is refused; nothing else."""

from __future__ import annotations

import copy
import hashlib
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import linear_policy, saved
from frozen_policy.crafting import CARD, GRAPH, card, put_graph
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rl_lab import files
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import FrozenPolicy, load_policy
from rl_lab.frozen_policy.card import sealed

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
PROBES = np.random.default_rng(5).standard_normal((16, 2)).astype(np.float32) * 10
LIBRARIES = dict(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    policy = linear_policy("FakeCountdown-v0", [[1.0, -0.5], [0.25, 2.0]], [0.5, 0.0])
    return saved(policy, tmp_path_factory.mktemp("valid") / "policy")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "policy").mkdir()
    (folder / "secret").write_text("nobody reads this")
    return folder / "policy"


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with one to three faults: flipped, cut, spliced, doubled or inserted."""
    for _ in range(draw(st.integers(1, 3))):
        a, b = sorted(draw(st.tuples(*[st.integers(0, max(len(data) - 1, 0))] * 2)))
        kind = draw(st.sampled_from(["flip", "byte", "cut", "splice", "double", "insert"]))
        if kind == "flip" and data:
            data = data[:a] + bytes([data[a] ^ 1 << draw(st.integers(0, 7))]) + data[a + 1 :]
        elif kind == "byte" and data:
            data = data[:a] + draw(st.binary(min_size=1, max_size=1)) + data[a + 1 :]
        elif kind == "cut":
            data = data[:a]
        elif kind == "splice":
            data = data[:a] + data[b:]
        elif kind == "double":
            data = data[:b] + data[a:b] + data[b:]
        else:
            data = data[:a] + draw(st.binary(max_size=12)) + data[a:]
    return data


VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**31,
        2**63,
        -(2**63),
        0.5,
        -0.0,
        1e308,
        "",
        "0",
        "inf",
        "-inf",
    ),
    *("x" * 300, "\x1b[31m", "os:system", "discrete", "box", "float32", "int64", "object", [], {}),
    *([1], [[]], [0.0] * 3, {"kind": "box"}, {"a": 1}, {"kind": "discrete", "n": 2}, "../../x"),
]


@st.composite
def swapped(draw: st.DrawFn, source: Any) -> Any:
    """Plain data with one to three values swapped, dropped, doubled or moved elsewhere."""
    data = copy.deepcopy(source)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(data))
        holder, key = draw(st.sampled_from(places))
        if isinstance(holder, dict) and key not in holder:
            continue
        kind = draw(st.sampled_from(["value", "value", "value", "drop", "add", "move"]))
        if kind == "value":
            holder[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif kind == "drop":
            del holder[key]
        elif kind == "add" and isinstance(holder, dict):
            holder[draw(st.sampled_from(["entry_point", "__class__", "n", "", "\u202e"]))] = 1
        elif kind == "add":
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            other, there = draw(st.sampled_from(places))
            holder[key] = copy.deepcopy(other[there])
        if not list(_places(data)):
            return data
    return data


def _places(data: Any) -> Any:
    keys = data if isinstance(data, dict) else range(len(data))
    for key in keys:
        yield data, key
        if isinstance(data[key], dict | list):
            yield from _places(data[key])


def _state_of(folder: Path) -> Any:
    return {
        str(p): (hashlib.sha256(p.read_bytes()).digest(), p.stat().st_mtime_ns)
        for p in sorted(folder.parent.rglob("*"))
        if p.is_file()
    }


def _resident_bytes(key: str) -> int:
    """Memory of this process: VmRSS now, VmHWM at most since it was last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def _reset_peak() -> bool:
    """Let the peak begin anew; whether the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # no Linux, or a container without it
        return False
    return True


def attempt(folder: Path) -> FrozenPolicy | None:
    """Load under watch: 2 s, half a gigabyte, without a trace, as a policy or as a refusal."""
    watched = _reset_peak()
    held = _resident_bytes("VmRSS") if watched else 0
    before, numbers, words = _state_of(folder), np.random.get_state(), random.getstate()
    start = time.process_time()
    policy, refusal = None, "none"
    try:
        policy = load_policy(folder)
    except BadInput as error:
        refusal = error.came
    assert refusal.isprintable()
    assert time.process_time() - start < 2.0
    if watched:
        assert _resident_bytes("VmHWM") - held < 2**29
    assert _state_of(folder) == before
    after = np.random.get_state()
    assert after[2:] == numbers[2:]
    assert np.array_equal(after[1], numbers[1])
    assert random.getstate() == words
    return policy


@pytest.mark.skipif(not _reset_peak(), reason="needs /proc/self/clear_refs of Linux")
def test_the_watch_on_memory_sees_a_peak() -> None:
    _reset_peak()
    held = _resident_bytes("VmRSS")
    np.ones(2**27, np.uint8)  # gone at once
    assert _resident_bytes("VmHWM") - held >= 2**26


def write(place: Path, card_text: bytes, graph: bytes) -> None:
    (place / CARD).write_bytes(card_text)
    (place / GRAPH).write_bytes(graph)


def fuzz(strategy: Any, examples: int, check: Callable[[Any], None]) -> None:
    settings(max_examples=examples, **LIBRARIES)(given(strategy)(check))()


@pytest.mark.parametrize("name", [CARD, GRAPH])
def test_damaged_bytes_never_give_another_policy(name: str, source: Path, place: Path) -> None:
    whole = load_policy(source)
    contents = {n: (source / n).read_bytes() for n in (CARD, GRAPH)}

    def check(data: bytes) -> None:
        write(place, *({**contents, name: data}.values()))
        policy = attempt(place)
        if policy is not None:
            assert policy.card == whole.card
            assert policy.graph == whole.graph
            assert np.array_equal(policy.act_batch(PROBES)[0], whole.act_batch(PROBES)[0])

    fuzz(damaged(contents[name]), 500, check)


@pytest.mark.parametrize("original", ["linear", "pendulum", "masked_dict"])
def test_a_forged_card_is_what_it_says_or_refused(original: str, source: Path, place: Path) -> None:
    folder = source if original == "linear" else GOLDEN / f"frozen_policy_v1_{original}"
    graph, data = (folder / GRAPH).read_bytes(), card(folder)

    def check(forged: Any) -> None:
        text = json.dumps(sealed(forged)) if isinstance(forged, dict) else json.dumps(forged)
        write(place, text.encode(), graph)
        policy = attempt(place)
        if policy is not None:
            assert json.loads(json.dumps(policy.card.to_data())) == forged
            assert policy.graph == graph
            acts(policy)

    fuzz(swapped(data), 300, check)


@pytest.mark.parametrize("original", ["linear", "pendulum", "masked_dict"])
def test_a_forged_graph_acts_in_its_space_or_is_refused(
    original: str, source: Path, place: Path
) -> None:
    folder = source if original == "linear" else GOLDEN / f"frozen_policy_v1_{original}"
    valid, graph = (folder / CARD).read_bytes(), (folder / GRAPH).read_bytes()

    def check(forged: bytes) -> None:
        write(place, valid, graph)
        put_graph(place, forged)
        policy = attempt(place)
        if policy is not None:
            assert files.sha256(policy.graph) == policy.card.onnx_sha256
            acts(policy)

    fuzz(damaged(graph), 300, check)


def acts(policy: FrozenPolicy) -> None:
    """It decides once, and in the form that its space asks for."""
    golden = policy.card.golden
    masks = golden.get("action_masks")
    observation = golden["observations"]
    observation = (
        {k: v[0] for k, v in observation.items()}
        if isinstance(observation, dict)
        else observation[0]
    )
    action, state = policy.act(observation, policy.reset(), np.array(masks[0]) if masks else None)
    assert np.shape(action) == policy.action_space.shape
    assert [a.shape for a in state] == [a.shape for a in policy.reset()]

"""Frozen policies of format version 1, made once and kept: each must load and act as stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_lab.frozen_policy import actions_differ, layout, load_policy

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
NAMES = ["cartpole", "pendulum", "masked_dict"]


def batch(space: dict[str, Any], stored: Any) -> Any:
    if space["kind"] == "dict":
        return {k: batch(part, stored[k]) for k, part in space["spaces"].items()}
    return np.array(stored, layout.array_type(space)[1])


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_and_acts_as_stored(name: str) -> None:
    policy = load_policy(GOLDEN / f"frozen_policy_v1_{name}")
    stored = json.loads((GOLDEN / f"frozen_policy_v1_{name}.expected.json").read_text())
    state: Any = ()
    for observations, masks, expected in zip(
        stored["observations"], stored["masks"], stored["actions"], strict=True
    ):
        inputs = batch(dict(policy.card.observation_space), observations)
        actions, state = policy.act_batch(inputs, state, masks)
        known = np.array(expected, actions.dtype)
        assert actions_differ(policy.action_space, actions, known) == ""


def test_they_show_every_part_of_the_format() -> None:
    cards = [load_policy(GOLDEN / f"frozen_policy_v1_{name}").card for name in NAMES]
    assert any(card.anchors for card in cards)
    assert any(card.action_masks for card in cards)
    assert {s["name"] for card in cards for s in card.state} > {"frames"}
    assert {card.observation_space["kind"] for card in cards} == {"box", "dict"}
    assert {card.action_space["kind"] for card in cards} == {"box", "discrete"}


STARTUP = """
import resource, sys
import numpy, rl_lab
policy = rl_lab.load_policy(sys.argv[1])
policy.act(numpy.zeros(4, "float32"), policy.reset())
assert not {"torch", "stable_baselines3", "hydra"} & set(sys.modules)
usage = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss, which begins with that of the process that started this one.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(usage.ru_utime + usage.ru_stime, int(status["VmHWM"].split()[0]) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_from_process_start_to_the_first_action() -> None:
    def measure() -> list[float]:
        done = subprocess.run(
            [sys.executable, "-c", STARTUP, str(GOLDEN / "frozen_policy_v1_cartpole")],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        return [float(word) for word in done.stdout.split()]

    # Processor time, the best of three: other processes' load is not the loader's.
    measured = [measure() for _ in range(3)]
    assert min(seconds for seconds, _ in measured) < 0.6
    assert max(megabytes for _, megabytes in measured) < 150

"""Whatever freezing writes, over the whole grid of kinds, the loader takes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from gymnasium import spaces as gym_spaces
from rl_lab_agents import sb3

from rl_lab import frozen_policy
from rl_lab.frozen_policy import load_policy
from rl_lab.frozen_policy.graph import FROM_GRID

_PATH = Path(__file__).resolve().parents[1] / "agents" / "test_freezing_grid.py"
_SPEC = importlib.util.spec_from_file_location("freezing_grid", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
grid = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(grid)

RECIPE = {"id": "Any-v0", "kwargs": {}, "wrappers": [], "max_episode_steps": None}
PLAIN: dict[str, Any] = {}
STACKED = {"normalize_observation": True, "frame_stack": 3}
# Every algorithm, every observation kind, every action kind; each operator occurs (tested below).
SAMPLE = [
    ("ppo", "box", "box", PLAIN, {}),
    ("ppo", "box64_2d", "discrete", STACKED, {}),
    ("ppo", "multi_discrete", "multi_binary", PLAIN, {}),
    ("ppo", "image_last", "discrete", {"frame_stack": 4}, {}),
    ("ppo", "dict", "multi_discrete", PLAIN, {}),
    ("ppo", "box", "box", PLAIN, {"use_sde": True, "policy_kwargs": {"squash_output": True}}),
    ("a2c", "integers", "multi_binary", PLAIN, {}),
    ("dqn", "image_first", "discrete", PLAIN, {}),
    ("ddpg", "multi_binary", "box", PLAIN, {}),
    ("td3", "discrete", "box", PLAIN, {}),
    ("sac", "integers", "box", STACKED, {}),
    ("tqc", "dict", "box", PLAIN, {}),
    ("qrdqn", "box", "discrete", PLAIN, {}),
    ("trpo", "discrete", "multi_discrete", PLAIN, {}),
    ("ars", "box", "box", PLAIN, {}),
    ("ars_linear", "box", "discrete", PLAIN, {}),
    ("crossq", "box", "box", PLAIN, {}),
    ("maskable_ppo", "box", "multi_discrete", PLAIN, {}),
    ("recurrent_ppo", "integers", "box", STACKED, {}),
    ("recurrent_ppo", "image_first", "discrete", PLAIN, {}),
    *(
        ("ppo", "box", "box", PLAIN, {"policy_kwargs": {"activation_fn": name}})
        for name in ("elu", "gelu", "leaky_relu", "silu", "tanh", "relu")
    ),
]


def frozen(agent: Any, folder: Path) -> set[str]:
    """Freeze, save and load; the operators of the graph."""
    policy = grid.freezing.freeze(agent.policy(), {**grid.FACTS, "environment": RECIPE})
    frozen_policy.save(policy, folder)
    assert load_policy(folder).card.onnx_sha256 == policy.card.onnx_sha256
    return {n.op_type for n in onnx.load_model_from_string(policy.graph).graph.node}


def test_the_whole_sample_is_taken_and_makes_every_listed_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One test: the list of operators is that of all cases together, wherever tests are shared out.
    seen: set[str] = set()
    for i, (algorithm, observation, action, changes, settings) in enumerate(SAMPLE):
        agent = grid.make_agent(algorithm, observation, action, changes, **settings)
        seen |= frozen(agent, tmp_path / f"trained_{i}")
    monkeypatch.setattr(grid, "randomize", lambda agent: None)
    for algorithm in ("ppo", "ars", "crossq", "recurrent_ppo"):
        seen |= frozen(grid.make_agent(algorithm, "box", "box"), tmp_path / algorithm)
    assert seen == FROM_GRID


def test_golden_vectors_of_large_pictures_are_trimmed(tmp_path: Path) -> None:
    space = gym_spaces.Box(0, 255, (210, 160, 3), np.uint8)
    agent = sb3.make(
        lambda: grid.Dummy(space, grid.ACTIONS["discrete"]),
        grid.training(),
        0,
        algorithm="stable_baselines3.PPO",
        policy="CnnPolicy",
        policy_kwargs={"features_extractor_kwargs": {"features_dim": 8}},
    )
    policy = grid.freezing.freeze(agent.policy(), {**grid.FACTS, "environment": RECIPE})
    frozen_policy.save(policy, tmp_path / "p")
    assert len(load_policy(tmp_path / "p").card.golden["actions"]) == 1
    assert (tmp_path / "p" / "policy.json").stat().st_size < 4 * 2**20

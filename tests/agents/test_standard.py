"""The standard path without waste gives the library's weights, to the last bit."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3
import torch
from rl_lab_agents import flat_adam, standard
from rl_lab_agents.lean_vec_env import LeanVecEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

SMALL: dict[str, Any] = {"policy_kwargs": {"net_arch": [16, 16]}}
PPO = {**SMALL, "n_steps": 40, "batch_size": 24, "n_epochs": 3}
# Multiples of a kernel's width, so that all parameters are stepped as one tensor.
WIDE: dict[str, Any] = {"policy_kwargs": {"net_arch": [64, 32]}}
CASES = [
    ("PPO", "CartPole-v1", PPO),
    ("PPO", "CartPole-v1", {**PPO, "ent_coef": 0.02, "clip_range_vf": 0.2}),
    ("PPO", "CartPole-v1", {**PPO, "target_kl": 1e-3, "normalize_advantage": False}),
    ("PPO", "CartPole-v1", {**PPO, **WIDE}),
    ("PPO", "Acrobot-v1", {**PPO, **WIDE, "max_grad_norm": 0.05}),
    ("PPO", "Pendulum-v1", PPO),
    ("A2C", "CartPole-v1", SMALL),
    ("A2C", "CartPole-v1", {**SMALL, "ent_coef": 0.02, "normalize_advantage": True}),
    ("A2C", "CartPole-v1", {**SMALL, "use_rms_prop": False, "gae_lambda": 0.9}),
    ("A2C", "CartPole-v1", {**WIDE, "use_rms_prop": False, "max_grad_norm": 0.05}),
]


def environments(kind: Any, environment: str, normalize: bool) -> Any:
    made = [lambda: Monitor(gymnasium.make(environment, max_episode_steps=30))] * 3
    env = kind(made)
    return VecNormalize(env) if normalize else env


def trained(package: Any, vector: Any, case: Any, normalize: bool) -> Any:
    algorithm, environment, settings = case
    env = environments(vector, environment, normalize)
    model = getattr(package, algorithm)("MlpPolicy", env, seed=3, device="cpu", **settings)
    return model.learn(700)


def digest(model: Any) -> str:
    parts = [p.detach().numpy().tobytes() for p in model.policy.parameters()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1]}-{list(c[2])[-1]}")
def test_weights_are_equal_to_the_last_bit(case: Any, normalize: bool) -> None:
    ours = trained(standard, LeanVecEnv, case, normalize)
    theirs = trained(stable_baselines3, DummyVecEnv, case, normalize)
    assert digest(ours) == digest(theirs)
    mine, other = ours.logger.name_to_value, theirs.logger.name_to_value
    for key in other:
        if key.startswith("train/"):
            np.testing.assert_allclose(mine[key], other[key], rtol=1e-6, err_msg=key)
    assert [e["r"] for e in ours.ep_info_buffer] == [e["r"] for e in theirs.ep_info_buffer]


def policy() -> Any:
    env = environments(LeanVecEnv, "CartPole-v1", False)
    return stable_baselines3.PPO("MlpPolicy", env, seed=0, device="cpu", **WIDE).policy


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"fused": True}, "fused"),
        ({"differentiable": True}, "differentiable"),
        ({"amsgrad": True}, "amsgrad"),
        ({"lr": torch.tensor(1e-3)}, "the learning rate is a tensor"),
    ],
)
def test_only_what_torch_computes_by_the_same_operations_is_stepped_flat(
    change: dict[str, Any], reason: str
) -> None:
    one = policy()
    one.optimizer.param_groups[0].update(change)
    found = flat_adam.fault(one.optimizer, one.parameters())
    assert reason in found
    assert bool(reason) == bool(found)


def test_odd_sizes_are_left_to_torch() -> None:
    odd = torch.nn.Parameter(torch.zeros(17))
    assert "odd sizes" in flat_adam.fault(torch.optim.Adam([odd]), [odd])


def test_whoever_replaces_tensors_unbinds_the_flat_ones() -> None:
    one = policy()
    flat = flat_adam.FlatAdam(one.optimizer, one.parameters())
    assert flat.bound()
    first = next(one.parameters())
    first.data = first.data.clone()
    assert not flat.bound()
    again = flat_adam.FlatAdam(one.optimizer, one.parameters())
    assert again.bound()
    one.optimizer.load_state_dict(copy.deepcopy(one.optimizer.state_dict()))
    assert not again.bound()
    first.grad = torch.zeros_like(first)
    assert not again.has_gradients()

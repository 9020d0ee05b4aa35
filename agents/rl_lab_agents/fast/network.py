"""Policies of PPO and A2C as arrays."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.distributions import (
    CategoricalDistribution,
    DiagGaussianDistribution,
    MultiCategoricalDistribution,
    StateDependentNoiseDistribution,
)
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv

from rl_lab_agents import binding
from rl_lab_agents.fast import coverage, heads

_HEADS: dict[Any, int] = {
    CategoricalDistribution: heads.CATEGORICAL,
    MultiCategoricalDistribution: heads.CATEGORICAL,
    DiagGaussianDistribution: heads.GAUSSIAN,
    StateDependentNoiseDistribution: heads.STATE_DEPENDENT,
}


def fault(policy: Any, env: VecEnv) -> str:
    """Why a policy in an environment is not covered; "" where it is."""
    text = coverage.environment_fault(env) or coverage.policy_fault(policy, ActorCriticPolicy)
    if text:
        return text
    distribution = policy.action_dist
    if type(distribution) not in _HEADS:
        return f"actions of the kind {type(policy.action_space).__name__} are not covered"
    if policy.use_sde and (
        policy.squash_output or distribution.use_expln or not distribution.full_std
    ):
        return "squash_output, use_expln and full_std=false are not covered"
    networks = (policy.mlp_extractor.policy_net, policy.mlp_extractor.value_net)
    return coverage.network_fault(*networks) or binding.optimizer_fault(policy.optimizer)


class Network:
    """An `ActorCriticPolicy` as the compiled functions see it; memory is shared with it.

    Args:
        policy: Covered, see `fault`.
    """

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.flat = binding.flatten(list(policy.parameters()))
        self.optimizer = binding.Optimizer(policy.optimizer, self.flat)
        self.grads = np.zeros_like(self.flat.values)
        extractor = policy.mlp_extractor
        body, critic = extractor.policy_net, extractor.value_net
        self.actor = self.flat.layers([*coverage.linears(body), policy.action_net])
        self.critic = self.flat.layers([*coverage.linears(critic), policy.value_net])
        self.kind = coverage.activation([*body, *critic])
        self.head = _HEADS[type(policy.action_dist)]
        self.log_std_at = self.flat.offsets.get(id(getattr(policy, "log_std", None)), 0)
        self.cuts = _cuts(policy.action_space)

    def bound(self) -> bool:
        """Whether the policy still looks at these arrays; loading an optimiser undoes it."""
        return self.optimizer.bound()

    @property
    def columns(self) -> int:
        """Numbers per action."""
        is_choice = self.head == heads.CATEGORICAL
        return len(self.cuts) - 1 if is_choice else int(self.actor[-1, 1])

    def workspace(self, rows: int) -> np.ndarray:
        """Room for either network's outputs on a batch."""
        widest = max(int(table[:, 1].sum()) for table in (self.actor, self.critic))
        return np.empty(rows * widest, np.float32)

    def std(self) -> np.ndarray | None:
        """Standard deviations of continuous actions; None for choices."""
        if not hasattr(self.policy, "log_std"):
            return None
        count = self.policy.log_std.numel()
        return np.exp(self.flat.values[self.log_std_at : self.log_std_at + count])


def _cuts(space: gymnasium.Space[Any]) -> np.ndarray:
    if isinstance(space, gymnasium.spaces.Discrete):
        return np.array([0, space.n], np.int64)
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return np.concatenate([[0], np.cumsum(space.nvec)]).astype(np.int64)
    return np.zeros(1, np.int64)

"""DQN with compiled decisions and updates: stable-baselines3's algorithm, policy and checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3 import DQN
from stable_baselines3.dqn.policies import DQNPolicy

from rl_lab_agents import binding
from rl_lab_agents.fast import coverage, optimizers, q_learning
from rl_lab_agents.fast.off_policy import OffPolicy


class Network:
    """A `DQNPolicy` as the compiled functions see it; memory is shared with it.

    Args:
        policy: Covered, see `FastDQN`.
    """

    def __init__(self, policy: Any) -> None:
        online, target = policy.q_net, policy.q_net_target
        self.flat = binding.flatten(list(online.parameters()))
        self.target = binding.flatten(list(target.parameters()))
        self.optimizer = binding.Optimizer(policy.optimizer, self.flat)
        self.grads = np.zeros_like(self.flat.values)
        self.layers = self.flat.layers(coverage.linears(online.q_net))
        self.kind = coverage.activation(online.q_net)
        self._work = np.empty(0, np.float32)

    def bound(self) -> bool:
        """Whether the policy still looks at these arrays."""
        return self.optimizer.bound()

    def work(self, rows: int) -> np.ndarray:
        """Room for the network's outputs on a batch."""
        need = rows * int(self.layers[:, 1].sum())
        if len(self._work) < need:
            self._work = np.empty(need, np.float32)
        return self._work

    def greedy(self, x: np.ndarray) -> np.ndarray:
        """The best actions `[rows]` for observations `[rows, numbers]`."""
        out = np.empty(len(x), np.int64)
        q_learning.greedy(self.flat.values, self.layers, self.kind, x, self.work(len(x)), out)
        return out


class FastDQN(OffPolicy, DQN):
    """Drop-in for `stable_baselines3.DQN`; minibatches are drawn from a generator of its own."""

    def _fault(self) -> str:
        policy: Any = self.policy
        return (
            coverage.policy_fault(policy, DQNPolicy)
            or coverage.network_fault(policy.q_net.q_net)
            or binding.optimizer_fault(policy.optimizer, adam_only=True)
        )

    def _bind(self) -> Network:
        return Network(self.policy)

    def _on_step(self) -> None:
        """Move the target network and the exploration rate."""
        if self._network is None:
            super()._on_step()
            return
        self._n_calls += 1
        if self._n_calls % max(self.target_update_interval // self.n_envs, 1) == 0:
            net = self._network
            optimizers.polyak(net.flat.values, net.target.values, float(self.tau))
        self.exploration_rate = self.exploration_schedule(self._current_progress_remaining)
        self.logger.record("rollout/exploration_rate", self.exploration_rate)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """All gradient steps of an update."""
        if self._network is None:
            super().train(gradient_steps, batch_size)
            return
        self._update_learning_rate(self.policy.optimizer)
        net = self._network
        optimizer = net.optimizer
        data = self._batches(gradient_steps, batch_size)
        work = net.work(batch_size)
        run: Any = q_learning.update
        loss = run(
            net.flat.values, net.target.values, net.grads, optimizer.moments, net.layers,
            net.kind, data.x, data.actions[:, :, 0].astype(np.int64), data.following,
            data.rewards, data.ends, float(self.gamma), float(self.max_grad_norm), optimizer.lr,
            *optimizer.constants(), optimizer.steps, work, np.empty_like(work),
        )  # fmt: skip
        optimizer.count(gradient_steps)
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", loss)

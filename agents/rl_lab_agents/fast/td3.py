"""TD3 with compiled decisions and updates: stable-baselines3's algorithm, policy and checkpoint."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from stable_baselines3 import TD3
from stable_baselines3.td3.policies import TD3Policy

from rl_lab_agents import binding
from rl_lab_agents.fast import coverage, critics, delayed_actor, off_policy


class Network:
    """A `TD3Policy` as the compiled functions see it; memory is shared with it.

    Args:
        policy: Covered, see `FastTD3`.
    """

    def __init__(self, policy: Any) -> None:
        actor, critic = policy.actor, policy.critic
        flat = binding.flatten(list(actor.parameters()))
        both = binding.flatten(list(critic.parameters()))
        self.actor_optimizer = binding.Optimizer(actor.optimizer, flat)
        self.critic_optimizer = binding.Optimizer(critic.optimizer, both)
        body = actor.mu[:-1]  # the last is the tanh
        self.actor = delayed_actor.Actor(
            flat.values,
            np.zeros_like(flat.values),
            self.actor_optimizer.moments,
            binding.flatten(list(policy.actor_target.parameters())).values,
            flat.layers(coverage.linears(body)),
            coverage.activation(body),
        )
        self.critics = critics.Critics(
            both.values,
            np.zeros_like(both.values),
            self.critic_optimizer.moments,
            binding.flatten(list(policy.critic_target.parameters())).values,
            off_policy.critic_tables(both, critic),
            coverage.activation(critic.q_networks[0]),
        )
        self._rooms: dict[int, critics.Room] = {}

    def bound(self) -> bool:
        """Whether the policy still looks at these arrays."""
        return self.actor_optimizer.bound() and self.critic_optimizer.bound()

    def room(self, rows: int) -> critics.Room:
        """Workspaces for so many rows."""
        if rows not in self._rooms:
            table = self.actor.table
            numbers, columns = int(table[0, 0]), int(table[-1, 1])
            tables = self.critics.tables
            self._rooms[rows] = critics.room(rows, numbers, columns, tables, table)
        return self._rooms[rows]


class FastTD3(off_policy.OffPolicy, TD3):
    """Drop-in for `stable_baselines3.TD3`; minibatches are drawn from a generator of its own."""

    def _fault(self) -> str:
        policy: Any = self.policy
        optimizers = (policy.actor.optimizer, policy.critic.optimizer)
        faults = [binding.optimizer_fault(optimizer, adam_only=True) for optimizer in optimizers]
        return (
            coverage.policy_fault(policy, TD3Policy)
            or off_policy.critic_fault(policy.actor.mu[:-1], policy.critic)
            or next(filter(None, faults), "")
        )

    def _bind(self) -> Network:
        return Network(self.policy)

    def _decide(self, x: np.ndarray) -> np.ndarray:
        net: Network = self._network
        space = net.room(len(x))
        delayed_actor.act(net.actor.params, net.actor, x, space.actor, space.drawn)
        return space.drawn.copy()

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """All gradient steps of an update."""
        if self._network is None:
            super().train(gradient_steps, batch_size)
            return
        net: Network = self._network
        optimizers = [net.actor_optimizer, net.critic_optimizer]
        self._update_learning_rate([optimizer.source for optimizer in optimizers])
        data = self._batches(gradient_steps, batch_size)
        noise = self._draws.standard_normal(data.actions.shape, np.float32)
        limit = self.target_noise_clip
        noise = np.clip(noise * np.float32(self.target_policy_noise), -limit, limit)
        settings = delayed_actor.Settings(
            float(self.gamma), float(self.tau), int(self.policy_delay), int(self._n_updates),
            optimizers[0].lr, np.array([o.constants() for o in optimizers]),
            np.array([o.steps for o in optimizers], np.int64),
        )  # fmt: skip
        stats = np.zeros(delayed_actor.STATISTICS)
        turns = delayed_actor.update(
            net.actor, net.critics, data, noise.astype(np.float32), settings,
            net.room(batch_size), stats,
        )  # fmt: skip
        net.actor_optimizer.count(turns)
        net.critic_optimizer.count(gradient_steps)
        self._n_updates += gradient_steps
        record = self.logger.record
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        if not math.isnan(stats[delayed_actor.ACTOR_LOSS]):
            record("train/actor_loss", stats[delayed_actor.ACTOR_LOSS])
        record("train/critic_loss", stats[delayed_actor.CRITIC_LOSS])

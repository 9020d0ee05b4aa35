"""SAC with compiled decisions and updates: stable-baselines3's algorithm, policy and checkpoint."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from stable_baselines3 import SAC
from stable_baselines3.sac.policies import SACPolicy

from rl_lab_agents import binding
from rl_lab_agents.fast import coverage, critics, off_policy, soft_actor


class Network:
    """A `SACPolicy` and its entropy weight as the compiled functions see them; memory is shared.

    Args:
        model: Covered, see `FastSAC`.
    """

    def __init__(self, model: Any) -> None:
        actor, critic, target = model.actor, model.critic, model.critic_target
        flat = binding.flatten(list(actor.parameters()))
        both = binding.flatten(list(critic.parameters()))
        self.actor_optimizer = binding.Optimizer(actor.optimizer, flat)
        self.critic_optimizer = binding.Optimizer(critic.optimizer, both)
        self.actor = soft_actor.Actor(
            flat.values,
            np.zeros_like(flat.values),
            self.actor_optimizer.moments,
            flat.layers(coverage.linears(actor.latent_pi)),
            flat.layers([actor.mu]),
            flat.layers([actor.log_std]),
            coverage.activation(actor.latent_pi),
        )
        self.critics = critics.Critics(
            both.values,
            np.zeros_like(both.values),
            self.critic_optimizer.moments,
            binding.flatten(list(target.parameters())).values,
            off_policy.critic_tables(both, critic),
            coverage.activation(critic.q_networks[0]),
        )
        self.weight_optimizer: binding.Optimizer | None = None
        fixed, logarithm, moments = math.nan, np.zeros(1, np.float32), np.zeros((2, 1), np.float32)
        if model.ent_coef_optimizer is None:
            fixed = 0.0  # read at each update: a schedule may move it
        else:
            alone = binding.flatten([model.log_ent_coef])
            self.weight_optimizer = binding.Optimizer(model.ent_coef_optimizer, alone)
            logarithm, moments = alone.values, self.weight_optimizer.moments
        self.weight = soft_actor.Weight(logarithm, moments, fixed, float(model.target_entropy))
        self._rooms: dict[int, critics.Room] = {}

    def optimizers(self) -> list[binding.Optimizer]:
        """Those of actor, critics and, where it is learned, the entropy's weight."""
        all_three = (self.actor_optimizer, self.critic_optimizer, self.weight_optimizer)
        return [optimizer for optimizer in all_three if optimizer is not None]

    def bound(self) -> bool:
        """Whether the policy still looks at these arrays."""
        return all(optimizer.bound() for optimizer in self.optimizers())

    def room(self, rows: int) -> critics.Room:
        """Workspaces for so many rows."""
        if rows not in self._rooms:
            body = self.actor.body
            numbers, columns = int(body[0, 0]), int(self.actor.mean[0, 1])
            tables = self.critics.tables
            self._rooms[rows] = critics.room(rows, numbers, columns, tables, body)
        return self._rooms[rows]


class FastSAC(off_policy.OffPolicy, SAC):
    """Drop-in for `stable_baselines3.SAC`; all draws come from a generator of its own."""

    def _fault(self) -> str:
        policy: Any = self.policy
        optimizers = (self.actor.optimizer, self.critic.optimizer, self.ent_coef_optimizer)
        faults = [binding.optimizer_fault(o, adam_only=True) for o in optimizers if o is not None]
        return (
            coverage.policy_fault(policy, SACPolicy)
            or off_policy.critic_fault(policy.actor.latent_pi, policy.critic)
            or next(filter(None, faults), "")
        )

    def _bind(self) -> Network:
        return Network(self)

    def _decide(self, x: np.ndarray) -> np.ndarray:
        net: Network = self._network
        space = net.room(len(x))
        noise = self._draws.standard_normal(space.drawn.shape, np.float32)
        soft_actor.act(net.actor, x, noise, space.actor, space.narrow, space.drawn, space.log_probs)
        return space.drawn.copy()

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """All gradient steps of an update."""
        if self._network is None:
            super().train(gradient_steps, batch_size)
            return
        net: Network = self._network
        optimizers = net.optimizers()
        self._update_learning_rate([optimizer.source for optimizer in optimizers])
        data = self._batches(gradient_steps, batch_size)
        shape = (gradient_steps, 2, batch_size, data.actions.shape[2])
        noise = self._draws.standard_normal(shape, np.float32)
        constants = np.zeros((3, 3))
        constants[: len(optimizers)] = [optimizer.constants() for optimizer in optimizers]
        steps = np.zeros(3, np.int64)
        steps[: len(optimizers)] = [optimizer.steps for optimizer in optimizers]
        settings = soft_actor.Settings(
            float(self.gamma), float(self.tau), int(self.target_update_interval),
            optimizers[0].lr, constants, steps,
        )  # fmt: skip
        weight = net.weight._replace(target=float(self.target_entropy))
        if net.weight_optimizer is None:
            weight = weight._replace(fixed=float(self.ent_coef_tensor))
        stats = np.zeros(soft_actor.STATISTICS)
        space = net.room(batch_size)
        soft_actor.update(net.actor, net.critics, weight, data, noise, settings, space, stats)
        for optimizer in optimizers:
            optimizer.count(gradient_steps)
        self._n_updates += gradient_steps
        record = self.logger.record
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        record("train/ent_coef", stats[soft_actor.WEIGHT])
        record("train/actor_loss", stats[soft_actor.ACTOR_LOSS])
        record("train/critic_loss", stats[soft_actor.CRITIC_LOSS])
        if net.weight_optimizer is not None:
            record("train/ent_coef_loss", stats[soft_actor.WEIGHT_LOSS])

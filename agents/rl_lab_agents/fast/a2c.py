"""A2C with a compiled rollout and update: stable-baselines3's algorithm, policy and checkpoint."""

from __future__ import annotations

import numpy as np

from rl_lab_agents.fast import compiled, losses
from rl_lab_agents.fast.on_policy import OnPolicy
from rl_lab_agents.standard import A2C


class FastA2C(OnPolicy, A2C):
    """Drop-in for `stable_baselines3.A2C`."""

    def train(self) -> None:
        """One gradient step over the whole rollout."""
        if self._rollout is None or self._network is None:
            super().train()
            return
        self._update_learning_rate(self.policy.optimizer)
        rollout = self._rollout
        count = rollout.steps * rollout.count
        stats, _ = self._updated(np.arange(count)[None], count, False)
        self._n_updates += 1
        record = self.logger.record
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        values, returns = rollout.values.ravel(), rollout.returns.ravel()
        record("train/explained_variance", compiled.explained_variance(values, returns))
        record("train/entropy_loss", stats[losses.ENTROPY_LOSS])
        record("train/policy_loss", stats[losses.POLICY_LOSS])
        record("train/value_loss", stats[losses.VALUE_LOSS])
        std = self._network.std()
        if std is not None:
            record("train/std", float(std.mean()))

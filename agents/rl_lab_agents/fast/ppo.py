"""PPO with a compiled rollout and update: stable-baselines3's algorithm, policy and checkpoint."""

from __future__ import annotations

import math

import numpy as np

from rl_lab_agents.fast import compiled, losses
from rl_lab_agents.fast.on_policy import OnPolicy
from rl_lab_agents.standard import PPO


class FastPPO(OnPolicy, PPO):
    """Drop-in for `stable_baselines3.PPO`; minibatches are drawn from a generator of its own."""

    def train(self) -> None:
        """One update over all epochs and minibatches."""
        if self._rollout is None or self._network is None:
            super().train()
            return
        self._update_learning_rate(self.policy.optimizer)
        remaining = self._current_progress_remaining
        clip = float(self.clip_range(remaining))  # type: ignore[operator]
        clip_value = math.nan
        if self.clip_range_vf is not None:
            clip_value = float(self.clip_range_vf(remaining))  # type: ignore[operator]
        target_kl = -1.0 if self.target_kl is None else float(self.target_kl)
        stats, epochs = self._updated(
            self._orders(), self.batch_size, True, clip, clip_value, target_kl
        )
        self._n_updates += epochs
        record = self.logger.record
        record("train/entropy_loss", stats[losses.ENTROPY_LOSS])
        record("train/policy_gradient_loss", stats[losses.POLICY_LOSS])
        record("train/value_loss", stats[losses.VALUE_LOSS])
        record("train/approx_kl", stats[losses.KL])
        record("train/clip_fraction", stats[losses.CLIPPED])
        record("train/loss", stats[losses.LOSS])
        rollout = self._rollout
        values, returns = rollout.values.ravel(), rollout.returns.ravel()
        record("train/explained_variance", compiled.explained_variance(values, returns))
        std = self._network.std()
        if std is not None:
            record("train/std", float(std.mean()))
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        record("train/clip_range", clip)
        if self.clip_range_vf is not None:
            record("train/clip_range_vf", clip_value)

    def _orders(self) -> np.ndarray:
        """The order of transitions in every epoch."""
        assert self._rollout is not None
        count = self._rollout.steps * self._rollout.count
        rows = np.tile(np.arange(count), (self.n_epochs, 1))
        return np.asarray(self._draws.permuted(rows, axis=1))

"""An algorithm of stable-baselines3's kind."""

from __future__ import annotations

from stable_baselines3 import PPO


class Patient(PPO):
    """PPO that learns nothing from its first rollouts, but looks at them.

    Args:
        patience: Rollouts without learning; the rest is PPO's.
    """

    def __init__(self, *args, patience: int = 0, **keywords) -> None:
        self.patience = patience
        super().__init__(*args, **keywords)

    def train(self) -> None:
        """Learn from the latest rollout, once patience is over."""
        if self.num_timesteps > self.patience * self.n_steps * self.n_envs:
            super().train()

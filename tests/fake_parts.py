"""An algorithm, a policy and wrappers as a user would write them, with state of their own."""

from __future__ import annotations

import socket
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy


class Annealed(PPO):
    """Lowers the weight of the entropy by what it remembers of its updates."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.seen: list[float] = []
        self.table = {"sum": np.zeros(2), ("a", 1): 0}
        self.tool: Any = None

    def train(self) -> None:
        self.seen.append(float(np.sum(self.rollout_buffer.rewards)))
        self.table["sum"] += len(self.seen)
        self.ent_coef = 1e-3 * float(self.table["sum"][0])
        super().train()


class AnnealedWithSocket(Annealed):
    """The same, with a connection."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.tool = socket.socket()


class Scaling(ActorCriticPolicy):
    """Scales its values by how often it was trained, which is no parameter."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.trained = {"times": 0}

    def set_training_mode(self, mode: bool) -> None:
        if mode:
            self.trained["times"] += 1
        super().set_training_mode(mode)

    def predict_values(self, obs: Any) -> Any:
        return super().predict_values(obs) * (1 + 0.1 * self.trained["times"])


class Bonus(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Pays more and more, as a list says."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.paid: list[float] = []

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        self.paid.append(0.001 * len(self.paid))
        return observation, float(reward) + self.paid[-1], terminated, truncated, info


class Wired(Bonus):
    """The same, with a connection."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.line = socket.socket()

"""An algorithm, a policy and wrappers as a user would write them, with state of their own."""

from __future__ import annotations

import socket
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import ReplayBufferSamples


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


class Prioritised(ReplayBuffer):
    """Draws rows by what they paid, from a generator of its own, and notes what it has drawn."""

    def __init__(self, *args: Any, floor: float = 0.1, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.floor = floor
        self.priorities = np.zeros(self.buffer_size)
        self.draws = np.random.default_rng(3)
        self.drawn: dict[str, list[int]] = {"sizes": []}

    def add(self, *args: Any, **keywords: Any) -> None:
        self.priorities[self.pos] = self.floor + abs(float(np.sum(args[3])))
        super().add(*args, **keywords)

    def sample(self, batch_size: int, env: Any = None) -> Any:
        # What it has drawn before decides, too.
        weights = self.priorities[: self.size()] + len(self.drawn["sizes"]) % 3
        rows = self.draws.choice(self.size(), batch_size, p=weights / weights.sum())
        self.drawn["sizes"].append(batch_size)
        return self._get_samples(rows, env)


class Shelf(ReplayBuffer):
    """Keeps its rows in a list, and none where the library would look."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        del self.observations, self.next_observations, self.actions, self.rewards
        del self.dones, self.timeouts
        self.rows: list[Any] = []

    def add(self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: Any) -> None:
        self.rows.append([np.array(part) for part in (obs, next_obs, action, reward, done)])
        self.pos += 1

    def sample(self, batch_size: int, env: Any = None) -> Any:
        chosen = [self.rows[i] for i in np.random.randint(0, len(self.rows), batch_size)]
        obs, following, actions, rewards, dones = [
            np.concatenate(part) for part in zip(*chosen, strict=True)
        ]
        dones = dones.astype(np.float32)
        parts = (obs, actions.reshape(-1, 1), following, dones[:, None], rewards[:, None])
        return ReplayBufferSamples(*map(self.to_torch, parts))


class Turning(Shelf):
    """A shelf that begins anew at its first place when it is full, as the library's rings do."""

    def add(self, *args: Any, **keywords: Any) -> None:
        super().add(*args, **keywords)
        del self.rows[: -self.buffer_size]
        self.full = self.full or self.pos == self.buffer_size
        self.pos %= self.buffer_size

"""Rollouts of PPO and A2C without torch."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecNormalize

from rl_lab_agents.fast import actor_critic, compiled, heads
from rl_lab_agents.fast.network import Network
from rl_lab_agents.fast.normalizing import Normalizer
from rl_lab_agents.fast.stepping import Ended, stepper_of


class Rollout:
    """One update's worth of experience, and what collects it.

    Args:
        network: Decides.
        env: The covered vectorised environment.
        steps: Per environment.
    """

    def __init__(self, network: Network, env: Any, steps: int) -> None:
        normalizes = isinstance(env, VecNormalize)
        self.normalizer = Normalizer(env) if normalizes else None
        inner = env.venv if normalizes else env
        self.network, self.stepper = network, stepper_of(inner)
        self.steps, self.count = steps, env.num_envs
        shape = (steps + 1, self.count)
        self.observations = np.zeros((*shape, *env.observation_space.shape), np.float32)
        self.seen = self.observations.reshape(*shape, -1)
        # Without a normaliser the environments write straight into what the policy sees.
        self.raw = np.zeros_like(self.observations[0]) if normalizes else None
        self.starts = np.zeros(shape, np.float32)
        self.actions = np.zeros((steps, self.count, network.columns), np.float32)
        self.rewards, self.values, self.log_probs, self.advantages, self.returns = np.zeros(
            (5, steps, self.count), np.float32
        )
        self.last_values = np.zeros(self.count, np.float32)
        self._work = network.workspace(self.count)
        self._space = env.action_space
        self._matrices = np.zeros((1, 1, 1), np.float32)

    def begin(self, env: Any) -> None:
        """Take environments and statistics as they are now; both may have been put back."""
        if self.normalizer is not None:
            self.normalizer.take()
        self.stepper = stepper_of(env.venv if self.normalizer is not None else env)

    def noise(self, draws: np.random.Generator) -> np.ndarray:
        """All that the rollout's decisions need."""
        shape = self.actions.shape
        if self.network.head == heads.CATEGORICAL:
            return np.asarray(draws.random(shape, np.float32))
        return np.asarray(draws.standard_normal(shape, np.float32))

    def explore(self, draws: np.random.Generator) -> None:
        """Draw gSDE's matrices anew."""
        std = self.network.std()
        assert std is not None
        shape = (self.count, int(self.network.actor[-1, 0]), self.network.columns)
        self._matrices = draws.standard_normal(shape, np.float32) * std.reshape(shape[1:])

    def act(self, t: int, noise: np.ndarray) -> Any:
        """Decide at step `t`; the actions as the environments take them.

        Raises:
            EnvironmentFault: What the environments gave is not finite.
        """
        net = self.network
        finite = actor_critic.act(
            net.flat.values, net.actor, net.critic, net.kind, net.head, net.cuts, net.log_std_at,
            self.seen, self.rewards, noise, self._matrices, t,
            self.actions, self.log_probs, self.values, self._work,
        )  # fmt: skip
        if not finite:
            self._require_finite(self.observations[t], self.rewards[max(t - 1, 0)])
        actions = self.actions[t]
        space = self._space
        if isinstance(space, gymnasium.spaces.Discrete):
            return actions[:, 0].astype(np.int64).tolist()
        if isinstance(space, gymnasium.spaces.Box):
            actions = actions.reshape(-1, *space.shape)
            return np.minimum(np.maximum(actions, space.low), space.high)
        return actions.astype(space.dtype)

    def step(self, t: int, actions: Any) -> list[Ended]:
        """Take step `t`."""
        raw = self.observations[t + 1] if self.raw is None else self.raw
        ended = self.stepper.step(actions, raw, self.rewards[t])
        self.starts[t + 1] = 0.0
        if self.normalizer is not None:
            flat = raw.reshape(self.count, -1)
            if not (compiled.finite(flat) and compiled.finite(self.rewards[t : t + 1])):
                self._require_finite(raw, self.rewards[t])
            self.normalizer.step(flat, self.seen[t + 1], self.rewards[t])
        return ended

    def end(self, t: int, ended: Ended, gamma: float) -> None:
        """Note an episode that ended at step `t`; one that was cut off counts what it was worth."""
        self.starts[t + 1, ended.index] = 1.0
        if self.normalizer is not None:
            self.normalizer.end_episode(ended.index)
        if ended.truncated:
            last = np.asarray(ended.observation, np.float32).reshape(1, -1)
            if self.normalizer is not None:
                last = self.normalizer.last(last)
            self.rewards[t, ended.index] += gamma * float(self._value(last)[0])

    def _value(self, observations: np.ndarray) -> np.ndarray:
        net = self.network
        out = np.empty(len(observations), np.float32)
        actor_critic.value(net.flat.values, net.critic, net.kind, observations, out, self._work)
        return out

    def _require_finite(self, observations: np.ndarray, rewards: np.ndarray) -> None:
        for i in range(self.count):
            self.stepper.require_finite(i, observations[i], float(rewards[i]))

    def finish(self, steps: int, gamma: float, decay: float) -> None:
        """Advantages and returns, and the wrappers' state, after the last step."""
        last = self.rewards[steps - 1 : steps]
        if not (compiled.finite(self.seen[steps]) and compiled.finite(last)):
            self._require_finite(self.observations[steps], self.rewards[steps - 1])
        self.last_values[:] = self._value(self.seen[steps])
        compiled.advantages(
            self.rewards, self.values, self.starts[: self.steps], self.last_values,
            self.starts[self.steps], gamma, decay, self.advantages, self.returns,
        )  # fmt: skip

    def settle(self, t: int) -> None:
        """Leave environments and normaliser as if step `t - 1` had gone through all wrappers."""
        self.stepper.settle()
        if self.normalizer is not None and self.raw is not None:
            self.normalizer.store(self.raw, self.rewards[max(t - 1, 0)])

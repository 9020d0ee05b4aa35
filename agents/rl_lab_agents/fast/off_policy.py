"""Collecting for DQN, SAC and TD3 without torch, and what the three share."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import (
    ActionNoise,
    NormalActionNoise,
    VectorizedActionNoise,
)
from stable_baselines3.common.type_aliases import RolloutReturn, TrainFreq
from stable_baselines3.common.utils import should_collect_more_steps
from stable_baselines3.common.vec_env import VecEnv

from rl_lab_agents.fast import compiled, coverage, critics, threads
from rl_lab_agents.fast.stepping import Ended, infos_of, stepper_of


def fault(model: Any) -> str:
    """Why a model's environment or replay buffer is not covered; "" where both are."""
    if model.get_vec_normalize_env() is not None:
        return "normalisation is not covered"
    buffer = model.replay_buffer
    if type(buffer) is not ReplayBuffer or buffer.optimize_memory_usage:
        return "only the plain replay buffer, with n_steps=1, is covered"
    if getattr(model, "use_sde", False):
        return "use_sde is not covered"
    return coverage.environment_fault(model.env)


def critic_tables(flat: Any, critic: Any) -> np.ndarray:
    """The table of several critics, `[critics, layers, 4]`."""
    return np.stack([flat.layers(coverage.linears(network)) for network in critic.q_networks])


def critic_fault(actor_body: Any, critic: Any) -> str:
    """Why networks of actor and critics are not covered; "" where they are."""
    if not coverage.linears(actor_body):
        return "an actor without a hidden layer is not covered"
    return coverage.network_fault(actor_body, *critic.q_networks)


class OffPolicy:
    """Mixed into DQN, SAC and TD3: collects without torch, and updates in one compiled call.

    Where something is not covered everything is the other base class's, with a warning that says
    why. Subclasses say what they cover (`_fault`), bind their networks (`_bind`, `_bound`) and
    decide (`_decide`).
    """

    devices = ("cpu",)
    _network: Any = None

    def _setup_model(self: Any) -> None:
        super()._setup_model()
        self._draws = np.random.default_rng(self.seed)

    def _setup_learn(self: Any, *args: Any, **keywords: Any) -> Any:
        result = super()._setup_learn(*args, **keywords)
        text = fault(self) or self._fault()
        if text:
            coverage.warn(type(self).__name__, text)
            self._network = None
            return result
        threads.limit()
        if self._network is None or not self._network.bound():
            self._network = self._bind()
        return result

    def collect_rollouts(
        self: Any,
        env: VecEnv,
        callback: BaseCallback,
        train_freq: TrainFreq,
        replay_buffer: ReplayBuffer,
        action_noise: ActionNoise | None = None,
        learning_starts: int = 0,
        log_interval: int | None = None,
    ) -> RolloutReturn:
        """Collect until the next update is due; see stable-baselines3."""
        if self._network is None:
            return super().collect_rollouts(
                env, callback, train_freq, replay_buffer, action_noise, learning_starts,
                log_interval,
            )  # fmt: skip
        callback.on_rollout_start()
        stepper = stepper_of(env)
        count, steps, episodes, go_on = env.num_envs, 0, 0, True
        seen = np.ascontiguousarray(self._last_obs, np.float32)
        while go_on and should_collect_more_steps(train_freq, steps, episodes):
            actions, stored = self._choose(seen, learning_starts, action_noise)
            following, rewards = np.empty_like(seen), np.empty(count, np.float32)
            ended = stepper.step(actions, following, rewards)
            if not compiled.finite(following.reshape(count, -1)) or not np.isfinite(rewards).all():
                for i in range(count):
                    stepper.require_finite(i, following[i], float(rewards[i]))
            self.num_timesteps += count
            steps += 1
            callback.update_locals({"infos": infos_of(ended, count)})
            go_on = callback.on_step()
            if not go_on:
                break
            _store(replay_buffer, seen, stored, rewards, following, ended)
            seen = following
            self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
            self._on_step()
            for episode in ended:
                episodes += 1
                self._end(episode, action_noise, count, log_interval)
        stepper.settle()
        self._last_obs = seen
        callback.on_rollout_end()
        return RolloutReturn(steps * count, episodes, go_on)

    def _choose(
        self: Any, seen: np.ndarray, learning_starts: int, action_noise: ActionNoise | None
    ) -> tuple[Any, np.ndarray]:
        """Actions as the environments take them, and as they are stored."""
        space = self.action_space
        flat = seen.reshape(len(seen), -1)
        warming = self.num_timesteps < learning_starts
        if isinstance(space, gymnasium.spaces.Discrete):
            random = warming or self._draws.random() < self.exploration_rate
            stored = (
                np.array([space.sample() for _ in flat]) if random else self._network.greedy(flat)
            )
            return stored.tolist(), stored.reshape(-1, 1)
        if warming:
            sampled = np.array([space.sample() for _ in flat])
            scaled = self.policy.scale_action(sampled).reshape(len(flat), -1)
        else:
            scaled = self._decide(flat)
        if action_noise is not None:
            noise = _drawn(action_noise, self._draws).reshape(scaled.shape)
            scaled = np.clip(scaled + noise, -1.0, 1.0)
        actions = self.policy.unscale_action(scaled.reshape(-1, *space.shape))
        return actions.astype(space.dtype), scaled.astype(np.float32)

    def _end(
        self: Any, ended: Ended, noise: ActionNoise | None, count: int, log_interval: int | None
    ) -> None:
        """What the library does after an episode."""
        self._update_info_buffer([ended.info], np.ones(1, bool))
        self._episode_num += 1
        if noise is not None:
            noise.reset(**({"indices": [ended.index]} if count > 1 else {}))
        if log_interval is not None and self._episode_num % log_interval == 0:
            self.dump_logs()

    def _batches(self: Any, steps: int, rows: int) -> critics.Batches:
        """Minibatches `[steps, rows, ...]` from the replay buffer."""
        buffer = self.replay_buffer
        size = buffer.buffer_size if buffer.full else buffer.pos
        shape = (steps, rows)
        at = (
            self._draws.integers(0, size, shape),
            self._draws.integers(0, buffer.n_envs, shape),
        )

        def taken(array: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(array[at].reshape(*shape, -1), np.float32)

        return critics.Batches(
            x=taken(buffer.observations),
            actions=taken(buffer.actions),
            following=taken(buffer.next_observations),
            rewards=buffer.rewards[at],
            ends=buffer.dones[at] * (1 - buffer.timeouts[at]),
        )

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_network"]


def _drawn(noise: ActionNoise, draws: np.random.Generator) -> np.ndarray:
    """Exploration noise; if it is Gaussian, from this generator instead of NumPy's global one."""
    parts = noise.noises if type(noise) is VectorizedActionNoise else [noise]
    if all(type(part) is NormalActionNoise for part in parts):
        drawn = [draws.normal(part._mu, part._sigma) for part in parts]  # type: ignore[attr-defined]
        return np.asarray(drawn, np.float32)
    return np.asarray(noise(), np.float32)


def _store(
    buffer: ReplayBuffer,
    seen: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    following: np.ndarray,
    ended: list[Ended],
) -> None:
    """What `ReplayBuffer.add` does, without its copies."""
    at = buffer.pos
    buffer.observations[at] = seen
    buffer.next_observations[at] = following
    buffer.actions[at] = actions
    buffer.rewards[at] = rewards
    buffer.dones[at] = 0.0
    buffer.timeouts[at] = 0.0
    for episode in ended:
        buffer.next_observations[at, episode.index] = episode.observation
        buffer.dones[at, episode.index] = 1.0
        buffer.timeouts[at, episode.index] = episode.truncated
    buffer.pos += 1
    if buffer.pos == buffer.buffer_size:
        buffer.full, buffer.pos = True, 0

"""What fast PPO and A2C share: collecting without torch, updating in one compiled call."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from rl_lab_agents.fast import actor_critic, coverage, network, threads
from rl_lab_agents.fast.rollout import Rollout
from rl_lab_agents.fast.stepping import infos_of


class OnPolicy:
    """Mixed into PPO and A2C: collects without torch, and updates in one compiled call.

    Where policy or environment are not covered everything is the other base class's, with a
    warning that says why.
    """

    devices = ("cpu",)
    _network: network.Network | None = None
    _rollout: Rollout | None = None

    def _setup_model(self: Any) -> None:
        super()._setup_model()
        self._draws = np.random.default_rng(self.seed)

    def _setup_learn(self: Any, *args: Any, **keywords: Any) -> Any:
        result = super()._setup_learn(*args, **keywords)
        text = network.fault(self.policy, self.env)
        if text:
            coverage.warn(type(self).__name__, text)
            self._network = self._rollout = None
            return result
        threads.limit()
        if self._network is None or not self._network.bound():
            self._network = network.Network(self.policy)
        self._rollout = Rollout(self._network, self.env, self.n_steps)
        return result

    def collect_rollouts(
        self: Any,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Collect one rollout; see stable-baselines3."""
        rollout: Rollout | None = self._rollout
        if rollout is None:
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        callback.on_rollout_start()
        rollout.begin(env)
        rollout.observations[0] = self._last_obs
        rollout.starts[0] = self._last_episode_starts
        noise = rollout.noise(self._draws)
        frequency = self.sde_sample_freq if self.use_sde else 0
        go_on, t = True, 0
        while go_on and t < n_rollout_steps:
            if self.use_sde and (t == 0 or (frequency > 0 and t % frequency == 0)):
                rollout.explore(self._draws)
            ended = rollout.step(t, rollout.act(t, noise))
            self.num_timesteps += rollout.count
            for episode in ended:
                rollout.end(t, episode, self.gamma)
                self._update_info_buffer([episode.info], np.ones(1, bool))
            t += 1
            callback.update_locals({"infos": infos_of(ended, rollout.count)})
            go_on = callback.on_step()
        rollout.settle(t)
        self._last_obs = rollout.observations[t].copy()
        self._last_episode_starts = rollout.starts[t].astype(bool)
        if not go_on:
            return False
        rollout.finish(t, self.gamma, self.gae_lambda)
        _show(rollout, rollout_buffer)
        callback.on_rollout_end()
        return True

    def _updated(
        self: Any,
        orders: np.ndarray,
        size: int,
        surrogate: bool,
        clip: float = math.nan,
        clip_value: float = math.nan,
        target_kl: float = -1.0,
    ) -> tuple[np.ndarray, int]:
        """Run an update; its statistics and the epochs that were begun."""
        net, rollout = self._network, self._rollout
        rows = rollout.steps * rollout.count
        optimizer = net.optimizer
        stats = np.zeros(actor_critic.STATISTICS)
        run: Any = actor_critic.update
        steps, epochs = run(
            net.flat.values, net.grads, optimizer.moments, net.actor, net.critic, net.kind,
            net.head, net.cuts, net.log_std_at,
            rollout.seen[:-1].reshape(rows, -1), rollout.actions.reshape(rows, -1),
            rollout.log_probs.reshape(rows), rollout.advantages.reshape(rows),
            rollout.returns.reshape(rows), rollout.values.reshape(rows),
            orders, size, self.normalize_advantage, surrogate, clip, clip_value,
            float(self.ent_coef), float(self.vf_coef), float(self.max_grad_norm), target_kl,
            actor_critic.ADAM if optimizer.is_adam else actor_critic.RMSPROP,
            optimizer.lr, *optimizer.constants(), optimizer.steps, stats,
        )  # fmt: skip
        optimizer.count(steps)
        return stats, epochs

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_network", "_rollout"]


def _show(rollout: Rollout, buffer: RolloutBuffer) -> None:
    """Let the library's buffer look at what was collected, for callbacks that want to see it."""
    buffer.observations, buffer.actions = rollout.observations[:-1], rollout.actions
    buffer.rewards, buffer.values, buffer.log_probs = (
        rollout.rewards, rollout.values, rollout.log_probs
    )  # fmt: skip
    buffer.advantages, buffer.returns = rollout.advantages, rollout.returns
    buffer.episode_starts = rollout.starts[:-1]
    buffer.pos, buffer.full = rollout.steps, True

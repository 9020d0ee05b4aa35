"""Rollouts of PPO and A2C without torch, and what both share."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import (
    CategoricalDistribution,
    DiagGaussianDistribution,
    MultiCategoricalDistribution,
    StateDependentNoiseDistribution,
)
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from rl_lab_agents.fast import actor_critic, binding, compiled, coverage, heads, threads
from rl_lab_agents.fast.normalizing import Normalizer
from rl_lab_agents.fast.stepping import Ended, infos_of, stepper_of

_HEADS: dict[Any, int] = {
    CategoricalDistribution: heads.CATEGORICAL,
    MultiCategoricalDistribution: heads.CATEGORICAL,
    DiagGaussianDistribution: heads.GAUSSIAN,
    StateDependentNoiseDistribution: heads.STATE_DEPENDENT,
}


def fault(policy: Any, env: VecEnv) -> str:
    """Why a policy in an environment is not covered; "" where it is."""
    text = coverage.environment_fault(env) or coverage.policy_fault(policy, ActorCriticPolicy)
    if text:
        return text
    distribution = policy.action_dist
    if type(distribution) not in _HEADS:
        return f"actions of the kind {type(policy.action_space).__name__} are not covered"
    if policy.use_sde and (
        policy.squash_output or distribution.use_expln or not distribution.full_std
    ):
        return "squash_output, use_expln and full_std=false are not covered"
    networks = (policy.mlp_extractor.policy_net, policy.mlp_extractor.value_net)
    return coverage.network_fault(*networks) or binding.optimizer_fault(policy.optimizer)


class Network:
    """An `ActorCriticPolicy` as the compiled functions see it; memory is shared with it.

    Args:
        policy: Covered, see `fault`.
    """

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.flat = binding.flatten(list(policy.parameters()))
        self.optimizer = binding.Optimizer(policy.optimizer, self.flat)
        self.grads = np.zeros_like(self.flat.values)
        extractor = policy.mlp_extractor
        body, critic = extractor.policy_net, extractor.value_net
        self.actor = self.flat.layers([*coverage.linears(body), policy.action_net])
        self.critic = self.flat.layers([*coverage.linears(critic), policy.value_net])
        self.kind = coverage.activation([*body, *critic])
        self.head = _HEADS[type(policy.action_dist)]
        self.log_std_at = self.flat.offsets.get(id(getattr(policy, "log_std", None)), 0)
        self.cuts = _cuts(policy.action_space)

    def bound(self) -> bool:
        """Whether the policy still looks at these arrays; loading an optimiser undoes it."""
        return self.optimizer.bound()

    @property
    def columns(self) -> int:
        """Numbers per action."""
        is_choice = self.head == heads.CATEGORICAL
        return len(self.cuts) - 1 if is_choice else int(self.actor[-1, 1])

    def workspace(self, rows: int) -> np.ndarray:
        """Room for either network's outputs on a batch."""
        widest = max(int(table[:, 1].sum()) for table in (self.actor, self.critic))
        return np.empty(rows * widest, np.float32)

    def std(self) -> np.ndarray | None:
        """Standard deviations of continuous actions; None for choices."""
        if not hasattr(self.policy, "log_std"):
            return None
        count = self.policy.log_std.numel()
        return np.exp(self.flat.values[self.log_std_at : self.log_std_at + count])


def _cuts(space: gymnasium.Space[Any]) -> np.ndarray:
    if isinstance(space, gymnasium.spaces.Discrete):
        return np.array([0, space.n], np.int64)
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return np.concatenate([[0], np.cumsum(space.nvec)]).astype(np.int64)
    return np.zeros(1, np.int64)


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


class OnPolicy:
    """Mixed into PPO and A2C: collects without torch, and updates in one compiled call.

    Where policy or environment are not covered everything is the other base class's, with a
    warning that says why.
    """

    _network: Network | None = None
    _rollout: Rollout | None = None

    def _setup_model(self: Any) -> None:
        super()._setup_model()
        self._draws = np.random.default_rng(self.seed)

    def _setup_learn(self: Any, *args: Any, **keywords: Any) -> Any:
        result = super()._setup_learn(*args, **keywords)
        text = fault(self.policy, self.env)
        if text:
            coverage.warn(type(self).__name__, text)
            self._network = self._rollout = None
            return result
        threads.limit()
        if self._network is None or not self._network.bound():
            self._network = Network(self.policy)
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

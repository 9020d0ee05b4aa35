"""PPO and A2C of stable-baselines3 without what costs time and changes no bit of the weights.

Losses stay tensors until the end of an update, the entropy is left out of the graph where its
weight is 0, distributions are written out, and the optimiser steps all parameters as one. Same
seed, same weights, to the last bit; a policy or a space that is not covered takes the library's own
way.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv
from torch.nn import functional

from rl_lab_agents import flat_adam
from rl_lab_agents.flat_adam import FlatAdam


def _is_covered(model: Any) -> bool:
    policy = model.policy
    return (
        model.device.type == "cpu"
        and type(policy) is ActorCriticPolicy
        and type(policy.action_dist) is CategoricalDistribution
        and type(policy.features_extractor) is FlattenExtractor
        and policy.share_features_extractor
        and isinstance(model.observation_space, gymnasium.spaces.Box)
        and not is_image_space(model.observation_space)
    )


def _log_probabilities(policy: Any, observations: torch.Tensor) -> tuple[Any, Any]:
    """Values `[rows]` and normalised scores `[rows, choices]`, in the library's operations."""
    seen = observations.float().flatten(1)
    networks = policy.mlp_extractor
    latent_policy = _through(networks.policy_net, seen)
    latent_value = _through(networks.value_net, seen)
    values = _linear(policy.value_net, latent_value).flatten()
    scores = _linear(policy.action_net, latent_policy)
    return values, scores - scores.logsumexp(dim=-1, keepdim=True)


def _through(network: Any, x: torch.Tensor) -> torch.Tensor:
    """A sequence of modules, without the hooks that each call of a module looks for."""
    for module in network._modules.values():
        x = _linear(module, x) if type(module) is torch.nn.Linear else module.forward(x)
    return x


def _linear(module: Any, x: torch.Tensor) -> torch.Tensor:
    return functional.linear(x, module.weight, module.bias)


def _entropy(scores: torch.Tensor) -> torch.Tensor:
    """Of each row, in the operations of torch's `Categorical`."""
    lowest = torch.finfo(scores.dtype).min
    kept = torch.clamp(scores, min=lowest)
    return -(kept * functional.softmax(scores, dim=-1)).sum(-1)


def _evaluate(model: Any, data: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values, log-probabilities of the actions taken, mean negative entropy."""
    values, scores = _log_probabilities(model.policy, data.observations)
    actions = data.actions.long()
    log_prob = scores.gather(-1, actions).squeeze(-1)
    if model.ent_coef:
        return values, log_prob, -torch.mean(_entropy(scores))
    with torch.no_grad():
        return values, log_prob, -torch.mean(_entropy(scores))


def _step(model: Any, loss: torch.Tensor) -> None:
    optimizer = model.policy.optimizer
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if model._flat is not None and model._flat.has_gradients():
        model._flat.step(model.max_grad_norm)
        return
    torch.nn.utils.clip_grad_norm_(model.policy.parameters(), model.max_grad_norm, foreach=True)
    optimizer.step()


def _normalized(advantages: torch.Tensor) -> torch.Tensor:
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


def _mean(tensors: list[torch.Tensor]) -> float:
    """The mean of numbers that are rounded to float32 each, taken in float64."""
    return float(np.mean(torch.stack(tensors).tolist()))


class _Rollouts:
    """Mixed into both: decides without building distributions, and stores without copies."""

    _flat: FlatAdam | None = None

    def _prepare(self: Any) -> None:
        """Before an update: have one step of the optimiser be as few calls as it can."""
        optimizer, parameters = self.policy.optimizer, list(self.policy.parameters())
        if flat_adam.fault(optimizer, parameters):
            self._flat = None
            for group in optimizer.param_groups:
                group["foreach"] = True
        elif self._flat is None or not self._flat.bound():
            self._flat = FlatAdam(optimizer, parameters)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_flat"]

    def collect_rollouts(
        self: Any, env: VecEnv, callback: BaseCallback, rollout_buffer: Any, n_rollout_steps: int
    ) -> bool:
        """Collect one rollout; see stable-baselines3."""
        if not _is_covered(self):
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        for t in range(n_rollout_steps):
            seen = self._last_obs
            actions, values, log_prob = _act(self.policy, seen)
            self._last_obs, rewards, dones, infos = env.step(actions)
            self.num_timesteps += env.num_envs
            callback.update_locals({"infos": infos, "dones": dones, "rewards": rewards})
            if not callback.on_step():
                return False
            if dones.any():
                self._update_info_buffer(infos, dones)
                self._count_truncations(infos, dones, rewards)
            rollout_buffer.observations[t] = seen
            rollout_buffer.actions[t] = actions[:, None]
            rollout_buffer.rewards[t], rollout_buffer.values[t] = rewards, values
            rollout_buffer.log_probs[t] = log_prob
            rollout_buffer.episode_starts[t] = self._last_episode_starts
            self._last_episode_starts = dones
        rollout_buffer.pos, rollout_buffer.full = n_rollout_steps, True
        with torch.no_grad():
            last = self.policy.predict_values(torch.as_tensor(self._last_obs))
        rollout_buffer.compute_returns_and_advantage(last_values=last, dones=dones)
        callback.on_rollout_end()
        return True

    def _count_truncations(self: Any, infos: Any, dones: np.ndarray, rewards: np.ndarray) -> None:
        """An episode that was cut off is worth what its last observation is."""
        for i in np.flatnonzero(dones):
            if infos[i].get("TimeLimit.truncated") and "terminal_observation" in infos[i]:
                last, _ = self.policy.obs_to_tensor(infos[i]["terminal_observation"])
                with torch.no_grad():
                    value = self.policy.predict_values(last)[0]
                rewards[i] += self.gamma * value


def _act(policy: Any, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Actions, values and log-probabilities, drawn as torch's `Categorical` draws them."""
    with torch.no_grad():
        values, scores = _log_probabilities(policy, torch.as_tensor(seen))
        actions = torch.multinomial(functional.softmax(scores, dim=-1), 1, True)
        log_prob = scores.gather(-1, actions)
    return actions[:, 0].numpy(), values.numpy(), log_prob[:, 0].numpy()


class PPO(_Rollouts, stable_baselines3.PPO):
    """`stable_baselines3.PPO`, weights equal to the last bit, in less time."""

    def train(self) -> None:
        """One update over all epochs and minibatches."""
        if not _is_covered(self):
            super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self._prepare()
        remaining = self._current_progress_remaining
        clip = self.clip_range(remaining)  # type: ignore[operator]
        clip_value = self.clip_range_vf and self.clip_range_vf(remaining)  # type: ignore[operator]
        kept: dict[str, list[torch.Tensor]] = {}
        loss, go_on = torch.zeros(()), True
        for _ in range(self.n_epochs):
            kept["approx_kl"] = []
            for data in self.rollout_buffer.get(self.batch_size):
                loss, divergence = self._loss(data, clip, clip_value, kept)
                if self.target_kl is not None and divergence > 1.5 * self.target_kl:
                    go_on = False
                    break
                _step(self, loss)
            self._n_updates += 1
            if not go_on:
                break
        self._record(kept, loss, clip, clip_value)

    def _loss(
        self, data: Any, clip: float, clip_value: float | None, kept: dict[str, list[torch.Tensor]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        values, log_prob, entropy_loss = _evaluate(self, data)
        advantages = data.advantages
        if self.normalize_advantage and len(advantages) > 1:
            advantages = _normalized(advantages)
        log_ratio = log_prob - data.old_log_prob
        ratio = torch.exp(log_ratio)
        free = advantages * ratio
        policy_loss = -torch.min(free, advantages * torch.clamp(ratio, 1 - clip, 1 + clip)).mean()
        if clip_value is not None:
            moved = torch.clamp(values - data.old_values, -clip_value, clip_value)
            values = data.old_values + moved
        value_loss = functional.mse_loss(data.returns, values)
        loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss
        with torch.no_grad():
            clipped = torch.mean((torch.abs(ratio - 1) > clip).float())
            divergence = torch.mean((ratio - 1) - log_ratio)
        for name, number in (
            ("entropy_loss", entropy_loss),
            ("policy_gradient_loss", policy_loss),
            ("value_loss", value_loss),
            ("approx_kl", divergence),
            ("clip_fraction", clipped),
        ):
            kept.setdefault(name, []).append(number.detach())
        return loss, divergence

    def _record(
        self,
        kept: dict[str, list[torch.Tensor]],
        loss: torch.Tensor,
        clip: float,
        clip_value: float | None,
    ) -> None:
        record, buffer = self.logger.record, self.rollout_buffer
        for name, numbers in kept.items():
            record(f"train/{name}", _mean(numbers))
        record("train/loss", loss.item())
        explained = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        record("train/explained_variance", explained)
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        record("train/clip_range", clip)
        if clip_value is not None:
            record("train/clip_range_vf", clip_value)


class A2C(_Rollouts, stable_baselines3.A2C):
    """`stable_baselines3.A2C`, weights equal to the last bit, in less time."""

    def train(self) -> None:
        """One gradient step over the whole rollout."""
        if not _is_covered(self):
            super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self._prepare()
        (data,) = self.rollout_buffer.get(batch_size=None)
        values, log_prob, entropy_loss = _evaluate(self, data)
        advantages = _normalized(data.advantages) if self.normalize_advantage else data.advantages
        policy_loss = -(advantages * log_prob).mean()
        value_loss = functional.mse_loss(data.returns, values)
        _step(self, policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss)
        self._n_updates += 1
        record, buffer = self.logger.record, self.rollout_buffer
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        explained = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        record("train/explained_variance", explained)
        record("train/entropy_loss", entropy_loss.item())
        record("train/policy_loss", policy_loss.item())
        record("train/value_loss", value_loss.item())

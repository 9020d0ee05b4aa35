"""Augmented random search whose candidates play side by side, one in each environment.

The library plays one candidate after the other, and counts the episodes of as many environments as
a candidate has episodes; what the others do is lost. Here every environment plays the candidate
that has waited longest. All are stepped together, so that it does not matter which is faster.
"""

from __future__ import annotations

import collections
import copy
import functools
from typing import Any

import torch
from sb3_contrib import ARS
from stable_baselines3.common.callbacks import BaseCallback


def play_side_by_side(model: Any) -> None:
    """Let a model use all of its environments, where its search is the library's own.

    With one environment the library's way stays, and callbacks are told what they are told of
    every other algorithm.
    """
    if getattr(type(model), "evaluate_candidates", None) is not ARS.evaluate_candidates:
        return
    if model.n_envs > 1:
        model.evaluate_candidates = functools.partial(_evaluated, model)
    else:
        model._trigger_callback = functools.partial(_triggered, model)


def _triggered(
    model: ARS, seen: dict[str, Any], unused: Any, callback: BaseCallback, n_envs: int
) -> None:
    callback.update_locals({"infos": seen["infos"]})
    ARS._trigger_callback(model, seen, unused, callback, n_envs)


def _evaluated(
    model: Any, weights: torch.Tensor, callback: BaseCallback, async_eval: None
) -> torch.Tensor:
    """The returns of candidates, each summed over its episodes; see the library's."""
    returns = torch.zeros(len(weights), device=model.device)
    model.ep_info_buffer = []
    callback.on_rollout_start()
    players = _Players(model.policy, weights, model.n_eval_episodes, model.n_envs)
    seen = model.env.reset()
    while players.at_play:
        seen, _, _, infos = model.env.step(players.act(seen))
        model.num_timesteps += model.n_envs
        for i, info in enumerate(infos):
            candidate = players.playing[i]
            # What only looks like an end (a lost life) has no `episode` of the Monitor's.
            if candidate is not None and (episode := info.get("episode")):
                returns[candidate] += episode["r"] + model.alive_bonus_offset * episode["l"]
                model._mimic_monitor_wrapper([episode["r"]], [episode["l"]])
                players.next(i)
        callback.update_locals({"infos": infos})
        callback.on_step()
    callback.on_rollout_end()
    return returns


class _Players:
    """Who plays in which environment.

    Args:
        policy: Whose weights the candidates replace.
        weights: One row per candidate.
        episodes: That each of them plays.
        count: Environments.
    """

    def __init__(self, policy: Any, weights: torch.Tensor, episodes: int, count: int) -> None:
        self._weights = weights
        self._waiting = collections.deque(c for c in range(len(weights)) for _ in range(episodes))
        self._policies = [copy.deepcopy(policy) for _ in range(count)]
        # What comes before and after the networks is the library's `predict`, for all at once.
        self._around = copy.deepcopy(policy)
        self._around._predict = self._decided
        self.playing: list[int | None] = [None] * count
        for i in range(count):
            self.next(i)

    @property
    def at_play(self) -> bool:
        """Whether any candidate is in the middle of an episode."""
        return any(candidate is not None for candidate in self.playing)

    def next(self, i: int) -> None:
        """Let the candidate that has waited longest, if any has, play in environment i."""
        self.playing[i] = candidate = self._waiting.popleft() if self._waiting else None
        if candidate is not None:
            self._policies[i].load_from_vector(self._weights[candidate].cpu())

    def act(self, seen: Any) -> Any:
        """The actions of all; where nobody plays any more, the last one goes on acting."""
        return self._around.predict(seen, deterministic=True)[0]

    def _decided(self, seen: Any, deterministic: bool) -> torch.Tensor:
        rows = [_row(seen, i) for i in range(len(self._policies))]
        pairs = zip(self._policies, rows, strict=True)
        return torch.cat([policy._predict(row, deterministic) for policy, row in pairs])


def _row(seen: Any, i: int) -> Any:
    if isinstance(seen, dict):
        return {key: part[i : i + 1] for key, part in seen.items()}
    return seen[i : i + 1]

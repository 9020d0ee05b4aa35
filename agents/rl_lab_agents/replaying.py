"""Replay buffers from plain data: `{her: {n_sampled_goal: 4}}`, or a class of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.vec_env import VecEnv

from rl_lab.errors import BadInput, closest
from rl_lab_agents import naming

# None is the algorithm's own choice: plain, Dict or n-step.
_KINDS = {"standard": None, "her": HerReplayBuffer}
_GOAL_KEYS = {"observation", "achieved_goal", "desired_goal"}


def keywords(data: Any, hyperparameters: Mapping[str, Any], env: VecEnv) -> dict[str, Any]:
    """The two constructor keywords that choose a replay buffer.

    Args:
        data: One entry: `standard`, `her` or a dotted path, with the buffer's own arguments.
        hyperparameters: The agent's other settings.
        env: The environments.

    Raises:
        BadInput: The buffer is not known, or does not fit.
    """
    if not isinstance(data, Mapping) or len(data) != 1:
        raise BadInput(
            f"agent.replay_buffer={data!r}",
            f"one of {{{': {...}}, {'.join(_KINDS)}: {{...}}}} or {{a.Class: {{...}}}}",
        )
    ((name, arguments),) = data.items()
    if "." not in name and name not in _KINDS:
        raise BadInput(
            f"agent.replay_buffer={dict(data)}",
            f"{' or '.join(_KINDS)}, or a dotted path",
            closest(name, _KINDS),
        )
    kind = naming.resolve(name) if "." in name else _KINDS[name]
    if kind is not None and issubclass(kind, HerReplayBuffer):
        _require_goals(hyperparameters, env)
    return {"replay_buffer_class": kind, "replay_buffer_kwargs": dict(arguments or {})}


def _require_goals(hyperparameters: Mapping[str, Any], env: VecEnv) -> None:
    space = env.observation_space
    keys = set(space.spaces) if isinstance(space, gymnasium.spaces.Dict) else set()
    if not keys >= _GOAL_KEYS or not env.has_attr("compute_reward"):
        raise BadInput(
            "hindsight replay in an environment without goals",
            f"a Dict observation with {', '.join(sorted(_GOAL_KEYS))}, and compute_reward()",
            "Leave agent.replay_buffer out.",
        )
    spec: Any = env.get_attr("spec")[0]
    limit = (getattr(spec, "max_episode_steps", None) or 0) * env.num_envs
    if hyperparameters.get("learning_starts", 0) < limit:
        raise BadInput(
            f"agent.learning_starts={hyperparameters.get('learning_starts')} with hindsight replay",
            f"at least {limit}: whole episodes are needed, and one may take that long",
            f"Give agent.learning_starts={limit}.",
        )

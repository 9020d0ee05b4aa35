"""Hyperparameters as configuration writes them, turned into what stable-baselines3 takes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common import noise

from rl_lab.errors import BadInput, closest

_ACTIVATIONS = {
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "elu": torch.nn.ELU,
    "gelu": torch.nn.GELU,
    "leaky_relu": torch.nn.LeakyReLU,
    "silu": torch.nn.SiLU,
}
_NOISES = {
    "normal": noise.NormalActionNoise,
    "ornstein-uhlenbeck": noise.OrnsteinUhlenbeckActionNoise,
}


class Linear:
    """A value that goes in a straight line from `start` to `end` over the whole training.

    Args:
        start: The value at the first step.
        end: The value at the last step.
    """

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def __call__(self, progress_remaining: float) -> float:
        """The value where `progress_remaining` runs from 1 to 0."""
        return self.end + progress_remaining * (self.start - self.end)


def typed(hyperparameters: Mapping[str, Any], action_space: gymnasium.Space[Any]) -> dict[str, Any]:
    """Keywords for the algorithm's constructor: None dropped, schedules and noise built.

    Raises:
        BadInput: A schedule, a noise or an activation is not known.
    """
    keywords = {k: _value(k, v) for k, v in hyperparameters.items() if v is not None}
    if "action_noise" in keywords:
        keywords["action_noise"] = _noise(hyperparameters["action_noise"], action_space)
    if "policy_kwargs" in keywords:
        if not isinstance(hyperparameters["policy_kwargs"], Mapping):
            given = hyperparameters["policy_kwargs"]
            raise BadInput(f"agent.policy_kwargs={given!r}", "a mapping such as {net_arch: [64]}")
        keywords["policy_kwargs"] = _policy_kwargs(hyperparameters["policy_kwargs"])
    return keywords


def _value(key: str, value: Any) -> Any:
    if isinstance(value, Mapping) and "schedule" in value:
        return _schedule(key, value)
    if key == "train_freq" and isinstance(value, list):
        return tuple(value)
    return value


def _schedule(key: str, data: Mapping[str, Any]) -> Callable[[float], float]:
    if data["schedule"] != "linear" or set(data) != {"schedule", "start", "end"}:
        raise BadInput(
            f"agent.{key}={dict(data)}",
            "a number, or {schedule: linear, start: NUMBER, end: NUMBER}",
        )
    return Linear(float(data["start"]), float(data["end"]))


def _noise(data: Mapping[str, Any], action_space: gymnasium.Space[Any]) -> noise.ActionNoise:
    kind = str(data.get("kind"))
    if kind not in _NOISES or set(data) != {"kind", "std"}:
        raise BadInput(
            f"agent.action_noise={dict(data)}",
            f"{{kind: {' or '.join(_NOISES)}, std: NUMBER}}",
            closest(kind, _NOISES),
        )
    assert action_space.shape is not None
    zeros = np.zeros(action_space.shape)
    made: noise.ActionNoise = _NOISES[kind](zeros, zeros + float(data["std"]))
    return made


def _policy_kwargs(data: Mapping[str, Any]) -> dict[str, Any]:
    # Copied: the library writes into what it is given, and the caller may build another agent.
    keywords = {k: copy.deepcopy(v) for k, v in data.items() if v is not None}
    if "activation_fn" in keywords:
        name = str(keywords["activation_fn"])
        if name not in _ACTIVATIONS:
            raise BadInput(
                f"agent.policy_kwargs.activation_fn={name}",
                f"one of {', '.join(_ACTIVATIONS)}",
                closest(name, _ACTIVATIONS),
            )
        keywords["activation_fn"] = _ACTIVATIONS[name]
    return keywords

"""Hyperparameters as configuration writes them, turned into what stable-baselines3 takes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import typing
from collections.abc import Mapping
from typing import Any

import torch
from stable_baselines3.common.vec_env import VecEnv

from rl_lab.errors import BadInput, closest
from rl_lab_agents import exploring, live, naming, replaying, schedules
from rl_lab_agents.schedules import Schedule

_ACTIVATIONS = {
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "elu": torch.nn.ELU,
    "gelu": torch.nn.GELU,
    "leaky_relu": torch.nn.LeakyReLU,
    "silu": torch.nn.SiLU,
}


@dataclasses.dataclass(frozen=True)
class Typed:
    """What an algorithm is built from.

    Attributes:
        keywords: Of its constructor.
        live: Schedules that it does not follow by itself.
    """

    keywords: dict[str, Any]
    live: dict[str, Schedule]


def typed(kind: type, hyperparameters: Mapping[str, Any], env: VecEnv) -> Typed:
    """Keywords for an algorithm's constructor: None dropped, everything else built.

    Raises:
        BadInput: A value is not known, or does not fit the algorithm or the environment.
    """
    given = {k: v for k, v in hyperparameters.items() if v is not None}
    keywords: dict[str, Any] = {}
    following: dict[str, Schedule] = {}
    defaults = inspect.signature(kind).parameters
    for key, value in given.items():
        if key in defaults:
            _require_type(key, value, defaults[key])
        if not schedules.is_schedule(value):
            keywords[key] = tuple(value) if key == "train_freq" and _listed(value) else value
            continue
        schedule = schedules.build(key, value)
        if live.takes_schedules(kind, key):
            keywords[key] = schedule
        else:
            live.require_live(kind, key)
            keywords[key], following[key] = schedule(1.0), schedule
    if "action_noise" in given:
        keywords["action_noise"] = exploring.noise(given["action_noise"], env.action_space)
    if "replay_buffer" in given:
        keywords |= replaying.keywords(keywords.pop("replay_buffer"), given, env)
    if "policy_kwargs" in given:
        keywords["policy_kwargs"] = _policy_kwargs(given["policy_kwargs"])
    return Typed(keywords, following)


def _require_type(key: str, value: Any, parameter: inspect.Parameter) -> None:
    """Refuse text and true or false where the algorithm takes a number.

    That shows in its default or, where this is None, in the annotation.

    Raises:
        BadInput: The algorithm would fail on the value later, some of them hours later.
    """
    default, kinds = parameter.default, set(typing.get_args(parameter.annotation))
    if default is None:
        numeric = bool(kinds & {int, float}) and not kinds & {str, bool}
        whole, own = float not in kinds, "null"
    else:
        numeric = isinstance(default, int | float) and not isinstance(default, bool)
        whole, own = isinstance(default, int), str(default)
    if numeric and isinstance(value, str | bool):
        wanted = "a whole number" if whole else "a number"
        raise BadInput(f"agent.{key}={value!r}", wanted, f"The algorithm's own is {own}.")


def _listed(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _policy_kwargs(data: Any) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise BadInput(f"agent.policy_kwargs={data!r}", "a mapping such as {net_arch: [64]}")
    # Copied: the library writes into what it is given, and the caller may build another agent.
    keywords = {str(k): copy.deepcopy(v) for k, v in data.items() if v is not None}
    for key, value in keywords.items():
        if key.endswith("_class"):
            keywords[key] = value if isinstance(value, type) else naming.resolve(str(value))
    if "activation_fn" in keywords:
        keywords["activation_fn"] = _activation(str(keywords["activation_fn"]))
    return keywords


def _activation(name: str) -> Any:
    if "." in name:
        return naming.resolve(name)
    if name not in _ACTIVATIONS:
        raise BadInput(
            f"agent.policy_kwargs.activation_fn={name}",
            f"one of {', '.join(_ACTIVATIONS)}, or a dotted path",
            closest(name, _ACTIVATIONS),
        )
    return _ACTIVATIONS[name]

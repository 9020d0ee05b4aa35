"""From tensors to the keyword arguments of the policy that they were trained in."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces

from rl_lab.errors import BadInput
from rl_lab_agents.foreign.families import Family

Tensors = Mapping[str, torch.Tensor]
_ON_POLICY = {"ppo", "a2c", "trpo", "maskable_ppo", "recurrent_ppo"}
_SMALL = [1]  # of networks that no action depends on
_OLD_SHARED = "mlp_extractor.shared_net."
_POLICY_NET = "mlp_extractor.policy_net."
_WIDEST = 2**14


def unshared(tensors: Tensors) -> dict[str, torch.Tensor]:
    """Tensors under today's names.

    A linear policy of ARS was one layer without a number. Before 1.7 a shared features extractor
    was saved once. Before 1.8 policy and value could share layers, which become the policy's own.
    """
    if all(name.startswith("action_net.") for name in tensors):
        return {
            n.replace("net.weight", "net.0.weight").replace("net.bias", "net.0.bias"): t
            for n, t in tensors.items()
        }
    renamed = dict(tensors)
    if not any(name.startswith("pi_features_extractor.") for name in tensors):
        renamed |= {f"pi_{n}": t for n, t in tensors.items() if n.startswith("features_extractor.")}
    # Each Linear is followed by an activation, which has no tensors.
    offset = 2 * len(_widths(tensors, _OLD_SHARED))
    if not offset:
        return renamed
    for name, tensor in tensors.items():
        if name.startswith(_OLD_SHARED):
            renamed[_POLICY_NET + name.removeprefix(_OLD_SHARED)] = tensor
        elif match := re.match(rf"{re.escape(_POLICY_NET)}(\d+)\.(\w+)\Z", name):
            renamed[f"{_POLICY_NET}{int(match[1]) + offset}.{match[2]}"] = tensor
    return {name: t for name, t in renamed.items() if not name.startswith(_OLD_SHARED)}


def _widths(tensors: Tensors, prefix: str) -> list[int]:
    """Outputs of the Linear layers under a prefix, in order.

    Raises:
        BadInput: One takes another number of values than the one before it gives.
    """
    pattern = re.compile(rf"{re.escape(prefix)}(\d+)\.weight\Z")
    found = {int(m[1]): tuple(t.shape) for name, t in tensors.items() if (m := pattern.match(name))}
    layers = [found[i] for i in sorted(found) if len(found[i]) == 2]
    fits = all(one[0] == two[1] for one, two in itertools.pairwise(layers))
    # What does not fit together would be built larger than the file is.
    if not fits or any(width > _WIDEST for width, _ in layers):
        raise BadInput(
            f"layers {prefix}* of the shapes {str(layers)[:120]}",
            f"layers that follow each other, at most {_WIDEST} wide",
        )
    return [width for width, _ in layers]


def policy_keywords(family: Family, tensors: Tensors, action: spaces.Space[Any]) -> dict[str, Any]:
    """Everything about the network that shapes tell.

    Raises:
        BadInput: The shapes are not those of the algorithm's networks.
    """
    if family.name in _ON_POLICY:
        layers = _widths(tensors, _POLICY_NET)
        keywords: dict[str, Any] = {"net_arch": {"pi": layers, "vf": []}}
        if family.name == "recurrent_ppo":
            keywords |= _lstm(tensors)
        return keywords | _extractor(tensors, "pi_features_extractor.")
    if family.name in ("dqn", "qrdqn"):
        net = "q_net" if family.name == "dqn" else "quantile_net"
        *layers, outputs = _widths(tensors, f"{net}.{net}.") or [0]
        keywords = {"net_arch": layers}
        if family.name == "qrdqn":
            keywords["n_quantiles"] = _quantiles(outputs, action)
        return keywords | _extractor(tensors, f"{net}.features_extractor.")
    if family.name == "ars":
        layers = _widths(tensors, "action_net.")[:-1]
        # A linear policy's class has no such keyword.
        bias = "action_net.0.bias" in tensors
        return {"with_bias": bias} | ({"net_arch": layers} if layers else {})
    return _actor(family, tensors)


def _actor(family: Family, tensors: Tensors) -> dict[str, Any]:
    deterministic = family.name in ("td3", "ddpg")
    layers = _widths(tensors, "actor.mu." if deterministic else "actor.latent_pi.")
    layers = layers[:-1] if deterministic else layers
    keywords: dict[str, Any] = {"net_arch": {"pi": layers, "qf": _SMALL}, "n_critics": 1}
    if family.name == "tqc":
        keywords["n_quantiles"] = 1
    if family.name == "crossq":
        keywords["batch_norm"] = any(name.endswith(".ra_mean") for name in tensors)
    return keywords | _extractor(tensors, "actor.features_extractor.")


def _quantiles(outputs: int, action: spaces.Space[Any]) -> int:
    choices = int(action.n) if isinstance(action, spaces.Discrete) else 0
    if not choices or not outputs or outputs % choices:
        raise BadInput(
            f"{outputs} outputs for {choices} actions",
            "the same number of quantiles for each action",
            "Is env= the environment that the policy was trained in?",
        )
    return outputs // choices


def _lstm(tensors: Tensors) -> dict[str, Any]:
    layers = sum(1 for name in tensors if re.match(r"lstm_actor\.weight_hh_l\d+\Z", name))
    first = tensors.get("lstm_actor.weight_hh_l0")
    if first is None or first.ndim != 2 or first.shape[0] != 4 * first.shape[1]:
        raise BadInput("an LSTM of an unusual shape", "lstm_actor.weight_hh_l0 of [4 n, n]")
    return {
        "lstm_hidden_size": int(first.shape[1]),
        "n_lstm_layers": layers,
        "enable_critic_lstm": False,
        "lstm_kwargs": {"bias": "lstm_actor.bias_ih_l0" in tensors},
    }


def _extractor(tensors: Tensors, prefix: str) -> dict[str, Any]:
    """The widths of convolutional features; nothing where there are none."""
    for name, tensor in tensors.items():
        if name.startswith(prefix) and name.endswith("linear.0.weight"):
            if tensor.shape[0] > _WIDEST:
                raise BadInput(f"{name} of shape {tuple(tensor.shape)}", f"at most {_WIDEST} wide")
            several = name.startswith(f"{prefix}extractors.")
            word = "cnn_output_dim" if several else "features_dim"
            return {"features_extractor_kwargs": {word: int(tensor.shape[0])}}
    return {}


def policy_alias(family: Family, tensors: Tensors, observation: spaces.Space[Any]) -> str:
    """The name under which the algorithm knows the policy's class."""
    kind = "Mlp"
    if isinstance(observation, spaces.Dict):
        kind = "MultiInput"
    elif any(".cnn." in name or name.startswith("cnn.") for name in tensors):
        kind = "Cnn"
    return f"{kind}{'Lstm' if family.name == 'recurrent_ppo' else ''}Policy"

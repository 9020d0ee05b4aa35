"""A policy's saved keyword arguments: which matter, which do not, which nobody here knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from rl_lab.errors import BadInput, closest
from rl_lab_agents.foreign import texts
from rl_lab_agents.foreign.texts import short

TRUST = (
    "trust=true lets stable-baselines3 unpickle the file, which rebuilds such things exactly by "
    "running whatever code the file holds: only for files of people you trust."
)
# What shapes tell, what only training needs, and what a mean does not depend on.
_OF_NO_MATTER = {
    "batch_norm", "batch_norm_momentum", "device", "enable_critic_lstm", "full_std",
    "features_extractor_kwargs", "log_std_init", "lstm_hidden_size", "n_critics", "n_lstm_layers",
    "n_quantiles", "net_arch", "optimizer_class", "optimizer_kwargs", "ortho_init",
    "renorm_warmup_steps", "sde_net_arch", "share_features_extractor", "shared_lstm", "use_expln",
    "use_sde", "with_bias",
}  # fmt: skip
_PLAIN = {
    "squash_output": bool,
    "normalize_images": bool,
    "clip_mean": float,
    "batch_norm_eps": float,
}
_EXTRACTORS = {"FlattenExtractor", "NatureCNN", "CombinedExtractor"}
_EXTRACTOR_KEYWORDS = {"features_dim", "cnn_output_dim", "normalized_image"}
_LSTM_KEYWORDS = {"dropout", "bias"}
_ACTIVATIONS = (
    "Tanh", "ReLU", "ELU", "GELU", "LeakyReLU", "SiLU", "SELU", "CELU", "ReLU6", "Mish", "Sigmoid",
    "Softplus", "Softsign", "Hardtanh", "Hardswish", "Identity",
)  # fmt: skip
_CLASS = re.compile(r"<class '([\w.]+)'>\Z")
_TORCH = re.compile(r"(?:torch\.nn\.modules\.(?:activation|linear)|(?:torch\.|th\.)?nn)\.(\w+)\Z")


def known(saved: Mapping[str, Any], activation: str | None) -> dict[str, Any]:
    """The keyword arguments that shapes do not tell, rebuilt from plain data and readable text.

    Args:
        saved: As the file gives them; classes are text.
        activation: The user's word for the activation function, which wins.

    Raises:
        BadInput: One of them cannot be rebuilt; the message says what trust=true would add.
    """
    found: dict[str, Any] = {}
    for key, value in saved.items():
        if key in _PLAIN:
            found[key] = _plain(key, value)
        elif key not in _OF_NO_MATTER | {
            "activation_fn",
            "features_extractor_class",
            "lstm_kwargs",
        }:
            raise BadInput(
                f"the policy was built with {key}={short(value)}, which is not known here",
                "the keyword arguments of stable-baselines3's own policies",
                TRUST,
            )
    _require_usual(saved)
    if activation is not None:
        found["activation_fn"] = _chosen(activation)
    elif "activation_fn" in saved:
        found["activation_fn"] = _saved(saved["activation_fn"])
    return found


def _plain(key: str, value: Any) -> Any:
    kind = _PLAIN[key]
    usable = isinstance(value, bool) == (kind is bool) and isinstance(value, bool | int | float)
    if not usable:
        raise BadInput(f"the policy was built with {key}={short(value)}", kind.__name__, TRUST)
    return kind(value)


def _require_usual(saved: Mapping[str, Any]) -> None:
    """Refuse an extractor or an LSTM that is not the library's own."""
    extractor = str(saved.get("features_extractor_class", "FlattenExtractor"))
    name = _name(extractor)
    ours = "." not in name or name.startswith("stable_baselines3.common.torch_layers.")
    if not ours or name.rpartition(".")[2] not in _EXTRACTORS:
        raise BadInput(
            f"the policy has a features extractor of its own, {extractor[:80]}",
            f"one of {', '.join(sorted(_EXTRACTORS))}",
            TRUST,
        )
    for key, usual in (
        ("features_extractor_kwargs", _EXTRACTOR_KEYWORDS),
        ("lstm_kwargs", _LSTM_KEYWORDS),
    ):
        value = saved.get(key) or {}
        if isinstance(value, str):
            # Beside a pickled dict, an inner dict that held a class stands as its text.
            value = texts.expression(value) if "<" not in value else {value: None}
        if not isinstance(value, Mapping) or not set(value) <= usual:
            raise BadInput(
                f"the policy was built with {key}={short(value)}",
                f"no others than {', '.join(sorted(usual))}",
                TRUST,
            )


def _name(text: str) -> str:
    match = _CLASS.match(text)
    return match[1] if match else text


def _chosen(word: str) -> type[torch.nn.Module]:
    plain = {name.lower(): name for name in _ACTIVATIONS}
    key = word.lower().removeprefix("torch.").removeprefix("nn.").replace("_", "")
    if key not in plain:
        raise BadInput(
            f"activation_fn={word}", f"one of {', '.join(_ACTIVATIONS)}", closest(key, plain)
        )
    return _activation(plain[key])


def _saved(value: Any) -> type[torch.nn.Module]:
    match = _TORCH.match(_name(str(value)))
    if match is None or match[1] not in _ACTIVATIONS:
        raise BadInput(
            f"the policy's activation function is {short(value)!r}",
            f"one of torch's, such as {', '.join(_ACTIVATIONS[:4])}",
            f"Give activation_fn=NAME if it is one of these under another name. {TRUST}",
        )
    return _activation(match[1])


def _activation(name: str) -> type[torch.nn.Module]:
    kind: type[torch.nn.Module] = getattr(torch.nn, name)
    return kind

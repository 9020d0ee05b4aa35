"""The networks and the optimisers of a stable-baselines3 model, found whoever holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from rl_lab.states import StateMismatch


def optimizers(model: BaseAlgorithm) -> dict[str, torch.optim.Optimizer]:
    """Every optimiser of a model, by where it is held."""
    found = {}
    for place, holder in (("", model), *_holders(model)):
        for name, value in vars(holder).items():
            if isinstance(value, torch.optim.Optimizer):
                found[f"{place}{name}"] = value
    return found


def _holders(model: BaseAlgorithm) -> Iterator[tuple[str, Any]]:
    for place, module in modules(model).items():
        for name, part in module.named_modules():
            yield f"{place}.{name}." if name else f"{place}.", part


def modules(model: BaseAlgorithm) -> dict[str, torch.nn.Module]:
    """The policy, and whatever networks the model holds besides it."""
    found: dict[str, torch.nn.Module] = {"policy": model.policy}
    inside = {id(part) for part in model.policy.modules()}
    for name, value in vars(model).items():
        if isinstance(value, torch.nn.Module) and id(value) not in inside:
            found[name] = value
    return found


def _tensors(model: BaseAlgorithm) -> dict[str, torch.Tensor]:
    return {k: v for k, v in vars(model).items() if isinstance(v, torch.Tensor)}


def weights(model: BaseAlgorithm) -> dict[str, Any]:
    """All that learning has made: networks, optimisers with their moments, learned scalars."""
    return {
        "modules": {place: dict(m.state_dict()) for place, m in modules(model).items()},
        "optimizers": {place: o.state_dict() for place, o in optimizers(model).items()},
        "tensors": _tensors(model),
    }


def restore(model: BaseAlgorithm, stored: Mapping[str, Mapping[str, Any]]) -> None:
    """Put back what `weights` gave.

    Raises:
        StateMismatch: It was given by another kind of model, or by one of other shapes.
    """
    for group, live in (
        ("modules", modules(model)),
        ("optimizers", optimizers(model)),
        ("tensors", _tensors(model)),
    ):
        if set(stored[group]) != set(live):
            raise StateMismatch(
                f"the stored {group} are {', '.join(sorted(stored[group])) or 'none'}",
                f"{', '.join(sorted(live)) or 'none'}, as the agent has",
            )
        for place, target in live.items():
            _load(target, stored[group][place], place)


def _load(target: Any, stored: Any, place: str) -> None:
    try:
        if isinstance(target, torch.Tensor):
            target.data.copy_(stored)
        else:
            target.load_state_dict(stored)
    except (RuntimeError, ValueError, KeyError) as error:
        text = " ".join(str(error).split())[:200]
        raise StateMismatch(
            f"the stored {place} does not fit: {text}", "weights of the same shapes"
        ) from error

"""State that classes of the user's own keep beside what the library's algorithms keep.

A subclass of an algorithm, a policy, a features extractor, a replay buffer: whatever attributes no
class of the library sets are the subclass's own, and are written down like those of any object.
"""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from rl_lab import states

# Networks, optimisers, tensors and generators are found and kept by type, whoever holds them.
_ELSEWHERE = (torch.nn.Module, torch.optim.Optimizer, torch.Tensor, np.random.Generator)
_OF_EVERY_MODULE = frozenset(vars(torch.nn.Module()))


def capture(
    model: BaseAlgorithm,
    modules: Mapping[str, torch.nn.Module],
    arrays: dict[str, np.ndarray],
    lost: list[str],
) -> dict[str, Any]:
    """The own attributes of all parts of a model, by part; see `rl_lab.states.encode`."""
    return {
        place: states.encode_attributes(part, names, arrays, f"own.{place}", lost)
        for place, part in _parts(model, modules)
        if (names := _own(part))
    }


def restore(
    model: BaseAlgorithm,
    modules: Mapping[str, torch.nn.Module],
    stored: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    lost: list[str],
) -> None:
    """Put back what `capture` gave."""
    for place, part in _parts(model, modules):
        states.decode_attributes(part, stored.get(place, {}), arrays, lost)


def _parts(
    model: BaseAlgorithm, modules: Mapping[str, torch.nn.Module]
) -> Iterator[tuple[str, Any]]:
    yield "model", model
    for place, module in modules.items():
        for name, part in module.named_modules():
            yield f"{place}.{name}" if name else place, part
    if (buffer := getattr(model, "replay_buffer", None)) is not None:
        yield "buffer", buffer


def _own(part: Any) -> Collection[str]:
    kind: Any = type(part)
    if states.is_of_the_library(kind.__module__):
        return ()
    known = states.names_of_the_library(kind) | _OF_EVERY_MODULE
    return [
        name
        for name, value in vars(part).items()
        if name not in known
        and not isinstance(value, _ELSEWHERE)
        # What the lab puts in place of a method while it learns.
        and not isinstance(getattr(kind, name, None), types.FunctionType)
    ]

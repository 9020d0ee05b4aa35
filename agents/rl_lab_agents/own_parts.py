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

# Networks and optimisers are found and kept by type, whether the model or a network holds them;
# learned tensors and generators where the model does.
_OF_NETWORKS = (torch.nn.Module, torch.optim.Optimizer)
_OF_MODELS = (*_OF_NETWORKS, torch.Tensor, np.random.Generator)
_OF_EVERY_MODULE = frozenset(vars(torch.nn.Module()))


def capture(
    model: BaseAlgorithm,
    modules: Mapping[str, torch.nn.Module],
    arrays: dict[str, np.ndarray],
    path: str,
    lost: list[str],
) -> dict[str, Any]:
    """The own attributes of a model and its networks, by part; see `rl_lab.states.encode`."""
    return {
        place: states.encode_attributes(part, names, arrays, f"{path}.{place}", lost)
        for place, part, elsewhere in _parts(model, modules)
        if (names := _own(part, elsewhere))
    }


def restore(
    model: BaseAlgorithm,
    modules: Mapping[str, torch.nn.Module],
    stored: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    lost: list[str],
) -> None:
    """Put back what `capture` gave."""
    for place, part, _ in _parts(model, modules):
        states.decode_attributes(part, stored.get(place, {}), arrays, lost)


def capture_buffer(
    buffer: Any, arrays: dict[str, np.ndarray], path: str, lost: list[str]
) -> dict[str, Any]:
    """The own attributes of a replay buffer; `rl_lab.states.decode_attributes` puts them back."""
    return states.encode_attributes(buffer, _own(buffer, ()), arrays, path, lost)


def _parts(
    model: BaseAlgorithm, modules: Mapping[str, torch.nn.Module]
) -> Iterator[tuple[str, Any, tuple[type, ...]]]:
    yield "model", model, _OF_MODELS
    for place, module in modules.items():
        for name, part in module.named_modules():
            yield f"{place}.{name}" if name else place, part, _OF_NETWORKS


def _own(part: Any, elsewhere: tuple[type, ...]) -> Collection[str]:
    kind: Any = type(part)
    if states.is_of_the_library(kind.__module__):
        return ()
    known = states.names_of_the_library(kind) | _OF_EVERY_MODULE
    return [
        name
        for name, value in vars(part).items()
        if name not in known
        and not isinstance(value, elsewhere)
        # What the lab puts in place of a method while it learns.
        and not isinstance(getattr(kind, name, None), types.FunctionType)
    ]

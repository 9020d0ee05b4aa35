"""Torch parameters and optimiser states that share their memory with flat NumPy arrays.

The compiled functions work on the arrays; whoever looks at the policy, saves it or freezes it sees
the same numbers at every moment, without a copy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

_MOMENTS = {torch.optim.Adam: ("exp_avg", "exp_avg_sq"), torch.optim.RMSprop: ("square_avg",)}


@dataclasses.dataclass(frozen=True)
class Flat:
    """Parameters in one array.

    Attributes:
        values: float32, all of them in a row.
        offsets: Where each parameter begins, by its `id`.
    """

    values: np.ndarray
    offsets: dict[int, int]

    def layers(self, linears: Iterable[torch.nn.Linear]) -> np.ndarray:
        """The table of a network, see `compiled`."""
        rows = [
            (m.in_features, m.out_features, self.offsets[id(m.weight)], self.offsets[id(m.bias)])
            for m in linears
        ]
        return np.array(rows, np.int64)


def flatten(parameters: Sequence[torch.Tensor]) -> Flat:
    """Move parameters into one array; they keep their values, and their memory is the array's."""
    offsets, total = {}, 0
    for parameter in parameters:
        offsets[id(parameter)] = total
        total += parameter.numel()
    values = np.empty(total, np.float32)
    for parameter in parameters:
        parameter.data = _moved(parameter.data, values, offsets[id(parameter)])
    return Flat(values, offsets)


def _moved(tensor: torch.Tensor, values: np.ndarray, at: int) -> torch.Tensor:
    part = values[at : at + tensor.numel()]
    part[:] = tensor.detach().numpy().ravel()
    return torch.from_numpy(part).view(tensor.shape)


class Optimizer:
    """The state of a torch optimiser in flat arrays.

    Args:
        source: Adam or RMSprop with one group of parameters.
        flat: Where these parameters lie, and nothing else.
    """

    def __init__(self, source: torch.optim.Optimizer, flat: Flat) -> None:
        self.source = source
        self.is_adam = isinstance(source, torch.optim.Adam)
        (group,) = source.param_groups
        self._group = group
        self._parameters: list[torch.Tensor] = group["params"]
        self._flat, self._names = flat, _MOMENTS[type(source)]
        self.moments = np.zeros((2, len(flat.values)), np.float32)
        # One element each: a state that is saved, loaded and stepped elsewhere must not share it.
        self._steps = np.zeros(len(self._parameters), np.float32)
        for i, parameter in enumerate(self._parameters):
            state: dict[str, Any] = source.state[parameter]
            at = flat.offsets[id(parameter)]
            self._steps[i] = float(state.get("step", 0.0))
            state["step"] = torch.from_numpy(self._steps[i : i + 1]).view(())
            for name, moments in zip(self._names, self.moments, strict=False):
                old = state.get(name, torch.zeros_like(parameter))
                state[name] = _moved(old, moments, at)

    @property
    def steps(self) -> int:
        """Steps done."""
        return int(self._steps[0])

    def count(self, steps: int) -> None:
        """Note steps that the compiled functions have done."""
        self._steps += steps
        # Whoever counts the optimiser's steps is told of these too.
        for hook in self.source._optimizer_step_post_hooks.values():
            for _ in range(steps):
                hook(self.source, (), {})

    @property
    def lr(self) -> float:
        """The learning rate as it is now."""
        return float(self._group["lr"])

    def constants(self) -> tuple[float, float, float]:
        """First beta (RMSprop: alpha), second beta (RMSprop: 0), epsilon."""
        group = self._group
        first, second = group["betas"] if self.is_adam else (group["alpha"], 0.0)
        return float(first), float(second), float(group["eps"])

    def bound(self) -> bool:
        """Whether torch still looks at these arrays; loading a state makes it look elsewhere."""
        return all(self._is_bound(i, p) for i, p in enumerate(self._parameters))

    def _is_bound(self, i: int, parameter: torch.Tensor) -> bool:
        state = self.source.state.get(parameter, {})
        at = self._flat.offsets[id(parameter)]
        pairs = [(parameter, self._flat.values[at:]), (state.get("step"), self._steps[i:])]
        pairs += [
            (state.get(name), moments[at:])
            for name, moments in zip(self._names, self.moments, strict=False)
        ]
        return all(tensor is not None and _same(tensor, array) for tensor, array in pairs)


def _same(tensor: torch.Tensor, array: np.ndarray) -> bool:
    return tensor.data_ptr() == array.ctypes.data


def optimizer_fault(optimizer: torch.optim.Optimizer, adam_only: bool = False) -> str:
    """Why an optimiser is not covered, as a clause; "" where it is."""
    kind = type(optimizer)
    if kind not in _MOMENTS or (adam_only and kind is not torch.optim.Adam):
        return f"the optimiser {kind.__name__} is not compiled"
    if len(optimizer.param_groups) != 1:
        return "the optimiser has several groups of parameters"
    group = optimizer.param_groups[0]
    off = ("weight_decay", "amsgrad", "maximize", "momentum", "centered")
    wrong = [name for name in off if group.get(name)]
    return f"the optimiser has {', '.join(wrong)}" if wrong else ""

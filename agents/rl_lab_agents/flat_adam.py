"""Gradient clipping and Adam over one flat tensor, to the last bit what torch's own give.

torch calls a dozen kernels for every parameter, and a call costs more than a small parameter's
arithmetic. The operations here are its own, in its order, on all parameters at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from rl_lab_agents import binding

# A kernel takes numbers by whole vectors and the last few one by one, which may round otherwise.
# Parameters of so many numbers (two of the widest vectors) leave no last few, wherever they lie;
_VECTORS = 32
# fewer than this (two of the narrowest vectors) are all taken one by one, at the end.
_NO_VECTORS = 16
# Settings with which torch computes a step by other operations.
_OTHER_KERNELS = ("fused", "capturable", "differentiable", "decoupled_weight_decay")
# Longer tensors are shared out between threads, and each share has its own last few.
_ONE_SHARE = 32_768


def fault(optimizer: torch.optim.Optimizer, parameters: Iterable[torch.Tensor]) -> str:
    """Why an optimiser and its parameters are not covered, as a clause; "" where they are."""
    sizes = [parameter.numel() for parameter in parameters]
    if text := binding.optimizer_fault(optimizer, adam_only=True):
        return text
    (group,) = optimizer.param_groups
    if other := [key for key in _OTHER_KERNELS if group.get(key)]:
        return f"the optimiser has {', '.join(other)}"
    if isinstance(group["lr"], torch.Tensor):
        return "the learning rate is a tensor"
    if sum(size for size in sizes if size % _VECTORS) >= _NO_VECTORS:
        return "its parameters have odd sizes"
    if torch.get_num_threads() > 1 and sum(sizes) > _ONE_SHARE:
        return "its parameters are shared out between threads"
    return ""


class FlatAdam:
    """Steps an optimiser of torch's; parameters and its state lie in flat arrays from then on.

    Args:
        source: The optimiser, see `fault`.
        parameters: All that it optimises.
    """

    def __init__(
        self, source: torch.optim.Optimizer, parameters: Iterable[torch.nn.Parameter]
    ) -> None:
        self._parameters = list(parameters)
        self._in_memory = sorted(self._parameters, key=lambda p: p.numel() % _VECTORS > 0)
        flat = binding.flatten(self._in_memory)
        self._optimizer = binding.Optimizer(source, flat)
        self._values = torch.from_numpy(flat.values)
        self._first, self._second = torch.from_numpy(self._optimizer.moments)

    def bound(self) -> bool:
        """Whether policy and optimiser still look at these arrays; loading a state undoes it."""
        return self._optimizer.bound()

    def has_gradients(self) -> bool:
        """Whether every parameter has one; torch leaves those without as they are."""
        return all(parameter.grad is not None for parameter in self._parameters)

    def step(self, max_norm: float) -> None:
        """Scale the gradients down to a norm, and take one step.

        Args:
            max_norm: The largest norm of all gradients together.
        """
        grads = [p.grad for p in self._parameters if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads, 2.0)), 2.0)
        scale = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
        grad = torch.cat([p.grad.flatten() for p in self._in_memory if p.grad is not None])
        grad.mul_(scale)
        step = float(self._optimizer.steps + 1)
        beta1, beta2, eps = self._optimizer.constants()
        self._first.lerp_(grad, 1 - beta1)
        self._second.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        size = (self._optimizer.lr / (1 - beta1**step)) * -1
        spread = self._second.sqrt().div_((1 - beta2**step) ** 0.5).add_(eps)
        self._values.addcdiv_(self._first, spread, value=size)
        self._optimizer.count(1)

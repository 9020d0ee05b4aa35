"""One decision as fast as onnxruntime allows: buffers bound once, copied in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_lab.frozen_policy import layout
from rl_lab.frozen_policy.card import Card

if TYPE_CHECKING:
    import onnxruntime

State = tuple[np.ndarray, ...]
# Python has one empty tuple, so that asking for it takes 10 nanoseconds.
NO_STATE: State = ()
Act = Callable[..., tuple[Any, State]]


def bind(session: onnxruntime.InferenceSession, card: Card) -> Act:
    """The function behind `FrozenPolicy.act`, with its buffers.

    The common case, one array in and no memory, is a closure over local names; its own cost
    beside onnxruntime's is about a microsecond.
    """
    buffers = _Buffers(session, card)
    if card.observation_space["kind"] == "dict" or card.state or card.action_masks:
        return buffers.act
    return _simple(buffers)


def _simple(buffers: _Buffers) -> Act:
    row = buffers.inputs[0]
    shape = row.shape[1:]
    run, io, action = buffers.run, buffers.io, buffers.action
    scalar_action = action.ndim == 1

    def act(observation: Any, state: State = (), action_mask: Any = None) -> tuple[Any, tuple[()]]:
        if state is not NO_STATE or action_mask is not None:
            layout.require_unneeded(state, action_mask)
        if getattr(observation, "shape", None) != shape:
            observation = layout.array_of(observation, shape, "observation")
        try:
            row[0] = observation
        except (TypeError, ValueError) as error:  # an array of texts has the right shape, too
            raise layout.no_numbers("observation", observation) from error
        run(io, None)
        return (action[0] if scalar_action else action[0].copy()), ()

    return act


class _Buffers:
    """Arrays that a session reads and writes in place, for a batch of one."""

    def __init__(self, session: onnxruntime.InferenceSession, card: Card) -> None:
        self._binding = session.io_binding()
        space = card.observation_space
        self._space = space
        pairs = zip(layout.input_names(space), layout.input_spaces(space), strict=True)
        self.inputs = [self._input(name, *layout.array_type(part)) for name, part in pairs]
        self._state = [self._input(s["name"], s["shape"], s["dtype"]) for s in card.state]
        self._mask = None
        if card.action_masks:
            self._mask = self._input(layout.MASK, (layout.mask_width(card.action_space),), bool)
        self.action = self._output("action", *layout.array_type(card.action_space))
        self._next = [self._output(f"next_{s['name']}", s["shape"], s["dtype"]) for s in card.state]
        # onnxruntime's Python wrapper around these two costs a tenth of a small network's run.
        self.run = session._sess.run_with_iobinding
        self.io = self._binding._iobinding

    def _input(self, name: str, shape: Any, dtype: Any) -> np.ndarray:
        array = np.zeros((1, *shape), dtype)
        self._binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        return array

    def _output(self, name: str, shape: Any, dtype: Any) -> np.ndarray:
        array = np.zeros((1, *shape), dtype)
        self._binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        return array

    def act(
        self, observation: Any, state: State = (), action_mask: Any = None
    ) -> tuple[Any, State]:
        """One decision of any policy."""
        parts = layout.ordered_parts(self._space, observation)
        for buffer, part in zip(self.inputs, parts, strict=True):
            buffer[0] = layout.array_of(part, buffer.shape[1:], "observation")
        self._set_state(state)
        if self._mask is not None:
            if action_mask is None:
                raise layout.masks_missing()
            self._mask[0] = layout.array_of(action_mask, self._mask.shape[1:], layout.MASK)
        elif action_mask is not None:
            raise layout.mask_unneeded()
        self.run(self.io, None)
        action = self.action[0] if self.action.ndim == 1 else self.action[0].copy()
        return action, tuple(array.copy() for array in self._next)

    def _set_state(self, state: State) -> None:
        layout.require_states(len(state), len(self._state))
        for buffer, array in zip(self._state, state, strict=True):
            buffer[:] = layout.array_of(array, buffer.shape, "state")

"""What a replay buffer holds, told apart from how it was asked to hold it.

Rows, positions and marks of episodes go on with a state. Hyperparameters, which the constructor
takes, are those of the run that reads it.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from rl_lab import states
from rl_lab.states import State, StateMismatch

OWN = "own"  # within REPLAY: what the attributes of a user's class hold
_RING_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
_POSITIONS = ("pos", "full")
_SIZES = ("buffer_size", "n_envs")  # kept to be compared, never put back
_PLAIN = (bool, int, float, str, type(None))


def ring_arrays(buffer: Any) -> dict[str, np.ndarray]:
    """The arrays `[capacity, environments, ...]` of a buffer of the library; empty without one."""
    found: dict[str, np.ndarray] = {}
    for name in _RING_ARRAYS:
        value = getattr(buffer, name, None)
        if isinstance(value, dict):
            found |= {f"{name}.{key}": array for key, array in value.items()}
        elif isinstance(value, np.ndarray):
            found[name] = value
    return found


def positions(buffer: Any) -> dict[str, Any]:
    """What the library keeps besides its ring: positions, marks of episodes, and the sizes."""
    if buffer is None:
        return {}
    return _plain(buffer, (*_POSITIONS, *_SIZES)) | _marks(buffer)


def _plain(buffer: Any, names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in vars(buffer).items() if name in names}


def _marks(buffer: Any) -> dict[str, np.ndarray]:
    """Where episodes begin and how long they are: the arrays of hindsight replay."""
    kind: Any = type(buffer)
    known = states.names_of_the_library(kind)
    return {
        name: value
        for name, value in vars(buffer).items()
        if name in known
        and name not in _RING_ARRAYS
        and isinstance(value, np.ndarray)
        and not value.dtype.hasobject
    }


def restore(buffer: Any, state: State, lost: list[str], anew: bool) -> None:
    """Put a replay buffer back, where the state has one.

    Args:
        buffer: Which; None is none.
        state: Into what.
        lost: Filled with what could not be put back, see `rl_lab.states.decode`.
        anew: Whether another run begins with it, whose hyperparameters stay as they are even in a
            class of the user's own.

    Raises:
        StateMismatch: It is of another size, or for another number of environments.
    """
    plain = dict(state.data[states.REPLAY])
    rows = ring_arrays(buffer)
    # The end of a run has no rows, unless it was asked to keep them.
    if buffer is None or not plain or (rows and states.REPLAY not in state.rings):
        return
    own = plain.pop(OWN, {})
    if rows:
        state.rings[states.REPLAY].copy_into(rows)
    _require_same_size(plain, buffer)
    current = _plain(buffer, _POSITIONS) | _marks(buffer)
    kept = {name: value for name, value in plain.items() if name in current}
    vars(buffer).update(states.decode(kept, state.arrays, current))
    if anew:
        own = _without_hyperparameters(own, type(buffer))
    states.decode_attributes(buffer, own, state.arrays, lost)


def _require_same_size(stored: Mapping[str, Any], buffer: Any) -> None:
    for name, here in _plain(buffer, _SIZES).items():
        if (there := stored.get(name, here)) != here:
            raise StateMismatch(f"the stored replay buffer has {name}={there}", f"{name}={here}")


def _without_hyperparameters(own: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Leave out plain values of the name of what a constructor takes."""
    taken = {
        name
        for ancestor in kind.__mro__
        if "__init__" in vars(ancestor) and ancestor is not object
        for name in inspect.signature(vars(ancestor)["__init__"]).parameters
    }
    return {k: v for k, v in own.items() if k not in taken or not isinstance(v, _PLAIN)}

"""Values that were encoded, back into live objects.

No instance of a class that a file names is ever made: what exists already, made by the same code as
what was stored, is written into.
"""

from __future__ import annotations

import collections
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from rl_lab.states import mujoco
from rl_lab.states.encoding import class_name
from rl_lab.states.ownership import is_of_the_library
from rl_lab.states.state import StateMismatch

_BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


def decode(
    plain: Any, arrays: Mapping[str, np.ndarray], current: Any, lost: list[str] | None = None
) -> Any:
    """The value that was encoded; objects and arrays that exist already are written into.

    Args:
        plain: What `encode` gave.
        arrays: The arrays that it refers to.
        current: What stands in the place now: the object to write into, or anything.
        lost: Filled with the objects of somebody else's classes that had no such object to be
            written into: `class (why)`.

    Returns:
        What belongs in the place; `current` itself where it was written into.
    """
    return _decode(plain, _Reading(arrays, [] if lost is None else lost), current)


def decode_attributes(
    owner: Any, plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray], lost: list[str]
) -> None:
    """Put back what `encode_attributes` gave; see `decode`."""
    _attributes(owner, plain, _Reading(arrays, lost))


class _Reading:
    """One decoding: what has been read from which array, and which live arrays are taken."""

    def __init__(self, arrays: Mapping[str, np.ndarray], lost: list[str]) -> None:
        self.arrays, self.lost = arrays, lost
        self._made: dict[str, np.ndarray] = {}
        self._taken: set[int] = set()

    def array(self, name: str, current: Any) -> np.ndarray:
        """The array of a name: one object for all places that shared one."""
        if name not in self._made:
            self._made[name] = self._into(self.arrays[name], current)
        return self._made[name]

    def _into(self, stored: np.ndarray, current: Any) -> np.ndarray:
        if not isinstance(current, np.ndarray):
            return np.array(stored)
        fits = (
            (current.shape, current.dtype) == (stored.shape, stored.dtype)
            and current.flags.writeable
            and id(current) not in self._taken
        )
        if not fits:
            return np.array(stored)
        current[...] = stored
        self._taken.add(id(current))
        return current


def _decode(plain: Any, reading: _Reading, current: Any) -> Any:
    if isinstance(plain, list):
        return _decode_list(plain, reading, current)
    if not isinstance(plain, dict):
        return plain
    key = next(iter(plain), "")
    decoder = _DECODERS.get(key)
    if decoder is not None:
        return decoder(plain, reading, current)
    if key.startswith("$"):
        raise StateMismatch(f"unknown entry {key!r} in a stored state", "one this rl-lab writes")
    old = current if isinstance(current, Mapping) else {}
    new = {k: _decode(v, reading, old.get(k)) for k, v in plain.items()}
    return _same_kind(new, current)


def _same_kind(new: dict[Any, Any], current: Any) -> Any:
    """A mapping in place of the current one, so that whoever else holds that sees it too."""
    if isinstance(current, dict):
        current.clear()
        current.update(new)
        return current
    return new


def _decode_list(plain: Any, reading: _Reading, current: Any) -> Any:
    old = (
        current if isinstance(current, list) and len(current) == len(plain) else [None] * len(plain)
    )
    new = [_decode(v, reading, o) for v, o in zip(plain, old, strict=True)]
    if isinstance(current, list):
        current[:] = new
        return current
    return new


def _decode_tuple(plain: Any, reading: _Reading, current: Any) -> Any:
    parts = plain["$tuple"]
    same = isinstance(current, tuple) and len(current) == len(parts)
    old = current if same else [None] * len(parts)
    new = [_decode(v, reading, o) for v, o in zip(parts, old, strict=True)]
    named = getattr(type(current), "_make", None) if same else None
    return named(new) if named else tuple(new)


def _decode_pairs(plain: Any, reading: _Reading, current: Any) -> Any:
    old = current if isinstance(current, Mapping) else {}
    new = {}
    for key, value in plain["$pairs"]:
        key = _decode(key, reading, None)
        new[key] = _decode(value, reading, old.get(key))
    return _same_kind(new, current)


def _decode_array(plain: Any, reading: _Reading, current: Any) -> Any:
    return reading.array(plain["$array"], current)


def _decode_tensor(plain: Any, reading: _Reading, current: Any) -> Any:
    torch: Any = sys.modules["torch"]
    value = torch.from_numpy(np.array(reading.arrays[plain["$tensor"]]))
    if isinstance(current, torch.Tensor) and current.shape == value.shape:
        current.data.copy_(value)
        return current
    return value


def _decode_generator(plain: Any, reading: _Reading, current: Any) -> Any:
    state = _decode(plain["$generator"], reading, None)
    kind = state["bit_generator"]
    if kind not in _BIT_GENERATORS:
        raise StateMismatch(f"a generator of the kind {kind!r}", f"one of {_BIT_GENERATORS}")
    if (
        not isinstance(current, np.random.Generator)
        or current.bit_generator.state["bit_generator"] != kind
    ):
        current = np.random.Generator(getattr(np.random, kind)(0))
    current.bit_generator.state = state
    return current


def _decode_random_state(plain: Any, reading: _Reading, current: Any) -> Any:
    if not isinstance(current, np.random.RandomState):
        current = np.random.RandomState()
    current.set_state(_decode(plain["$random_state"], reading, None))
    return current


def _decode_random(plain: Any, reading: _Reading, current: Any) -> Any:
    if not isinstance(current, random.Random):
        current = random.Random()
    version, words, gauss = plain["$random"]
    current.setstate((version, tuple(_decode(words, reading, None).tolist()), gauss))
    return current


def _decode_space(plain: Any, reading: _Reading, current: Any) -> Any:
    if not isinstance(current, gymnasium.Space):
        return current
    current._np_random = _decode(plain["$space"], reading, getattr(current, "_np_random", None))
    inner = getattr(current, "spaces", ())
    parts = list(inner.values() if isinstance(inner, Mapping) else inner)
    for stored, part in zip(plain["inner"], parts, strict=True):
        _decode(stored, reading, part)
    return current


def _decode_object(plain: Any, reading: _Reading, current: Any) -> Any:
    if plain["class"] != class_name(current):
        if not is_of_the_library(plain["class"]):
            reading.lost.append(f"{plain['class']} (made in the course of the training)")
        return current
    _attributes(current, plain["$object"], reading)
    return current


def _attributes(owner: Any, plain: Mapping[str, Any], reading: _Reading) -> None:
    attributes = vars(owner)
    for name, value in plain.items():
        attributes[name] = _decode(value, reading, attributes.get(name))


def _decode_own(plain: Any, reading: _Reading, current: Any) -> Any:
    if plain["class"] != class_name(current):
        raise StateMismatch(f"the state of a {plain['class']}", f"that of a {class_name(current)}")
    current.restore_checkpoint_state(_decode(plain["$own"], reading, None))
    return current


def _decode_mjdata(plain: Any, reading: _Reading, current: Any) -> Any:
    mujoco.write(current, {k: _decode(v, reading, None) for k, v in plain["$mjdata"].items()})
    return current


_DECODERS: Mapping[str, Callable[[Any, _Reading, Any], Any]] = {
    "$float": lambda plain, reading, current: float(plain["$float"]),
    "$array": _decode_array,
    "$scalar": lambda plain, reading, current: np.frombuffer(
        bytes.fromhex(plain["$scalar"][1]), plain["$scalar"][0]
    )[0],
    "$letters": lambda plain, reading, current: (
        np.frombuffer(bytes.fromhex(plain["$letters"][2]), plain["$letters"][0])
        .reshape(plain["$letters"][1])
        .copy()
    ),
    "$pairs": _decode_pairs,
    "$tuple": _decode_tuple,
    "$deque": lambda plain, reading, current: collections.deque(
        _decode_list(plain["$deque"], reading, None), plain["maxlen"]
    ),
    "$set": lambda plain, reading, current: set(_decode_list(plain["$set"], reading, None)),
    "$bytes": lambda plain, reading, current: bytes.fromhex(plain["$bytes"]),
    "$generator": _decode_generator,
    "$random_state": _decode_random_state,
    "$random": _decode_random,
    "$space": _decode_space,
    "$tensor": _decode_tensor,
    "$mjdata": _decode_mjdata,
    "$object": _decode_object,
    "$own": _decode_own,
    "$seen": lambda plain, reading, current: current,
}

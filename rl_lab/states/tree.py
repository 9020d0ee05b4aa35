"""Python values as JSON and arrays, and back into live objects; the safe part of pickling.

Encoding walks instances through their attributes. Decoding never makes an instance of a class
that a file names: it writes into objects that exist already, made by the same code as the stored
ones. A class may name attributes that are `not_checkpointed`, or write its instances down itself
(`checkpoint_state`, `restore_checkpoint_state`). What is neither plain data nor such an object (a
function, a simulator's handle) is left as it is; whether that suffices for an environment is what
its probe finds out.
"""

from __future__ import annotations

import collections
import math
import random
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from rl_lab.states import mujoco
from rl_lab.states.state import StateMismatch

# Differs from run to run without moving a result.
WALL_CLOCK = frozenset(
    {"start_time", "t_start", "episode_times", "episode_start_time", "time_queue"}
)
_LEFT_OUT = WALL_CLOCK | {"spec", "_cached_spec", "metadata", "class_attributes"}
# Handles of libraries that draw or simulate outside Python.
_FOREIGN = frozenset({"pygame", "Box2D", "glfw", "OpenGL", "mujoco", "torch", "matplotlib", "cv2"})
_PLAIN = (bool, int, str, type(None))
_CODE = (type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType)
_BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


class _Opaque(Exception):
    """A value that cannot be written down."""


def encode(value: Any, arrays: dict[str, np.ndarray], path: str) -> Any:
    """A value as JSON-ready data; its arrays go to `arrays` under names that begin with `path`.

    Raises:
        StateMismatch: The value itself cannot be written down; inside of objects and mappings
            that are attributes such values are left out.
    """
    try:
        return _encode(value, _Walk(arrays), path)
    except _Opaque as error:
        raise StateMismatch(f"{path} holds {error}", "plain data and objects of such") from None


class _Walk:
    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.seen: set[int] = set()
        self._names: dict[int, tuple[str, np.ndarray]] = {}

    def keep(self, array: np.ndarray, path: str) -> str:
        """Keep a copy under a name; an array that is met again has the name it got first."""
        if id(array) in self._names:
            return self._names[id(array)][0]
        name = path if path not in self.arrays else f"{path}~{len(self.arrays)}"
        self.arrays[name] = np.array(array)
        self._names[id(array)] = (name, array)
        return name


def _encode(value: Any, walk: _Walk, path: str) -> Any:
    if type(value) in _PLAIN:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    for kind, encoder in _ENCODERS:
        if isinstance(value, kind):
            return encoder(value, walk, path)
    if (tensor := _tensor_type()) and isinstance(value, tensor):
        return {"$tensor": walk.keep(value.detach().cpu().numpy(), path)}
    if mujoco.is_data(value):
        fields = mujoco.fields(value)
        return {"$mjdata": {k: _encode(v, walk, f"{path}.{k}") for k, v in fields.items()}}
    return _object(value, walk, path)


def _tensor_type() -> Any:
    torch = sys.modules.get("torch")
    return torch.Tensor if torch else None


def _array(value: np.ndarray, walk: _Walk, path: str) -> Any:
    if value.dtype.hasobject:
        raise _Opaque(f"an array of {value.dtype}")
    if value.dtype.kind not in "fiub":  # the letters of a toy-text map, which no tensor file holds
        return {"$letters": [value.dtype.str, list(value.shape), value.tobytes().hex()]}
    return {"$array": walk.keep(value, path)}


def _scalar(value: np.generic, walk: _Walk, path: str) -> Any:
    if value.dtype.hasobject:
        raise _Opaque(f"a scalar of {value.dtype}")
    return {"$scalar": [value.dtype.str, value.tobytes().hex()]}


def _mapping(value: Mapping[Any, Any], walk: _Walk, path: str) -> Any:
    if all(type(k) is str and not k.startswith("$") for k in value):
        return {k: _encode(v, walk, f"{path}.{k}") for k, v in value.items()}
    pairs = enumerate(value.items())
    return {
        "$pairs": [
            [_encode(k, walk, f"{path}.key{i}"), _encode(v, walk, f"{path}.{i}")]
            for i, (k, v) in pairs
        ]
    }


def _items(value: Any, walk: _Walk, path: str) -> list[Any]:
    return [_encode(v, walk, f"{path}.{i}") for i, v in enumerate(value)]


def _deque(value: Any, walk: _Walk, path: str) -> Any:
    return {"$deque": _items(value, walk, path), "maxlen": value.maxlen}


def _set(value: Any, walk: _Walk, path: str) -> Any:
    try:
        return {"$set": _items(sorted(value), walk, path)}
    except TypeError:
        raise _Opaque("a set whose items have no order") from None


def _generator(value: np.random.Generator, walk: _Walk, path: str) -> Any:
    return {"$generator": _encode(dict(value.bit_generator.state), walk, path)}


def _random_state(value: np.random.RandomState, walk: _Walk, path: str) -> Any:
    return {"$random_state": _encode(value.get_state(legacy=False), walk, path)}


def _python_random(value: random.Random, walk: _Walk, path: str) -> Any:
    version, words, gauss = value.getstate()
    return {"$random": [version, _encode(np.array(words, np.uint32), walk, path), gauss]}


def _space(value: gymnasium.Space[Any], walk: _Walk, path: str) -> Any:
    inner = getattr(value, "spaces", ())
    parts = inner.values() if isinstance(inner, Mapping) else inner
    own = getattr(value, "_np_random", None)
    return {
        "$space": _encode(own, walk, path),
        "inner": [_encode(part, walk, f"{path}.{i}") for i, part in enumerate(parts)],
    }


_Encoder = Callable[[Any, _Walk, str], Any]
_ENCODERS: tuple[tuple[Any, _Encoder], ...] = (
    (gymnasium.Space, _space),  # before mappings, of which a Dict space is one
    (np.ndarray, _array),
    (np.generic, _scalar),
    (Mapping, _mapping),
    (list, _items),
    (tuple, lambda value, walk, path: {"$tuple": _items(value, walk, path)}),
    (collections.deque, _deque),
    ((set, frozenset), _set),
    (bytes, lambda value, walk, path: {"$bytes": value.hex()}),
    (np.random.Generator, _generator),
    (np.random.RandomState, _random_state),
    (random.Random, _python_random),
)


def _object(value: Any, walk: _Walk, path: str) -> Any:
    """An instance, by those of its attributes that can be written down."""
    kind = type(value)
    home = str(getattr(kind, "__module__", "")).partition(".")[0]
    if isinstance(value, _CODE) or not hasattr(value, "__dict__"):
        raise _Opaque(f"a {kind.__name__}")
    if home in _FOREIGN or home in sys.stdlib_module_names:
        raise _Opaque(f"a {kind.__name__} of {home}")
    if id(value) in walk.seen:
        return {"$seen": True}
    walk.seen.add(id(value))
    own = getattr(value, "checkpoint_state", None)
    if callable(own):
        return {"$own": _encode(own(), walk, path), "class": class_name(value)}
    attributes = {}
    left_out = _LEFT_OUT.union(getattr(kind, "not_checkpointed", ()))
    for name, attribute in vars(value).items():
        if name in left_out:
            continue
        try:
            attributes[name] = _encode(attribute, walk, f"{path}.{name}")
        except _Opaque:
            continue
    return {"$object": attributes, "class": class_name(value)}


def class_name(value: Any) -> str:
    """A class's full name, against which a stored object is checked."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def decode(plain: Any, arrays: Mapping[str, np.ndarray], current: Any) -> Any:
    """The value that was encoded; objects and arrays that exist already are written into.

    Args:
        plain: What `encode` gave.
        arrays: The arrays that it refers to.
        current: What stands in the place now: the object to write into, or anything.

    Returns:
        What belongs in the place; `current` itself where it was written into.
    """
    return _decode(plain, _Reading(arrays), current)


class _Reading:
    """One decoding: what has been read from which array, and which live arrays are taken."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
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
        return current
    attributes = vars(current)
    for name, value in plain["$object"].items():
        attributes[name] = _decode(value, reading, attributes.get(name))
    return current


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

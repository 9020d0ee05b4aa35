"""Python values as JSON and arrays; the safe part of pickling.

Instances are walked through their attributes. A class may name attributes that are
`not_checkpointed`, or write its instances down itself (`checkpoint_state`,
`restore_checkpoint_state`). What is neither plain data nor such an object (a function, a socket, a
simulator's handle) cannot be written down; where an attribute of somebody else's class holds it,
that is reported as lost.
"""

from __future__ import annotations

import collections
import math
import random
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium
import numpy as np

from rl_lab.states import mujoco
from rl_lab.states.ownership import is_code, names_of_the_library
from rl_lab.states.state import StateMismatch

# Differs from run to run without moving a result.
WALL_CLOCK = frozenset(
    {"start_time", "t_start", "episode_times", "episode_start_time", "time_queue"}
)
_LEFT_OUT = WALL_CLOCK | {"spec", "_cached_spec", "metadata", "class_attributes"}
# Handles of libraries that simulate or draw outside Python. That environments go on without them
# is proved by trying.
_PROBED = frozenset({"pygame", "Box2D", "glfw", "OpenGL", "mujoco"})
_FOREIGN = _PROBED | {"torch", "matplotlib", "cv2"}
_PLAIN = (bool, int, str, type(None))
_CODE = (type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType)


class _Opaque(Exception):
    """A value that cannot be written down.

    Args:
        what: As a noun with its article.
        state: Whether it may hold what learning depends on.
    """

    def __init__(self, what: str, state: bool = True) -> None:
        super().__init__(what)
        self.state = state


def encode(
    value: Any, arrays: dict[str, np.ndarray], path: str, lost: list[str] | None = None
) -> Any:
    """A value as JSON-ready data; its arrays go to `arrays` under names that begin with `path`.

    Args:
        value: What to write down.
        arrays: Filled.
        path: Where the value has its place.
        lost: Filled with what had to be left out and may be state: `class.attribute (what)`.
            The library's own classes are not asked: that nothing is missing from them is tested.

    Raises:
        StateMismatch: The value itself cannot be written down; an attribute that cannot is left
            out.
    """
    try:
        return _encode(value, _Walk(arrays, [] if lost is None else lost), path)
    except _Opaque as error:
        raise StateMismatch(f"{path} holds {error}", "plain data and objects of such") from None


def encode_attributes(
    owner: Any, names: Iterable[str], arrays: dict[str, np.ndarray], path: str, lost: list[str]
) -> dict[str, Any]:
    """Some of an object's attributes by name, each as `encode` gives it; see there."""
    return _attributes(owner, names, _Walk(arrays, lost), path)


class _Walk:
    def __init__(self, arrays: dict[str, np.ndarray], lost: list[str]) -> None:
        self.arrays, self.lost = arrays, lost
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
        raise _Opaque(f"a {kind.__name__}", not is_code(value) and home not in _PROBED)
    if home in _FOREIGN or home in sys.stdlib_module_names:
        raise _Opaque(f"a {kind.__name__} of {home}", home not in _PROBED)
    if id(value) in walk.seen:
        return {"$seen": True}
    walk.seen.add(id(value))
    own = getattr(value, "checkpoint_state", None)
    if callable(own):
        return {"$own": _encode(own(), walk, path), "class": class_name(value)}
    return {"$object": _attributes(value, vars(value), walk, path), "class": class_name(value)}


def _attributes(value: Any, names: Iterable[str], walk: _Walk, path: str) -> dict[str, Any]:
    kind: Any = type(value)
    found = {}
    left_out = _LEFT_OUT.union(getattr(kind, "not_checkpointed", ()))
    for name in names:
        if name in left_out:
            continue
        try:
            found[name] = _encode(vars(value)[name], walk, f"{path}.{name}")
        except _Opaque as error:
            if error.state and name not in names_of_the_library(kind):
                walk.lost.append(f"{class_name(value)}.{name} ({error})")
    return found


def class_name(value: Any) -> str:
    """A class's full name, against which a stored object is checked."""
    return f"{type(value).__module__}.{type(value).__qualname__}"

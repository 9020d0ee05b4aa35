"""`vecnormalize.pkl` without trust: the one place that reads a pickle, and it builds only numbers.

A pickle is a program that names functions and calls them. Here every name stands for an inert
placeholder that remembers what was done to it, so calling `os.system` makes a note and nothing
else. Arrays are then put together from the placeholders' notes, by code of this file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
import pickletools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rl_lab.errors import BadInput
from rl_lab_agents.foreign.archive import read_file
from rl_lab_agents.foreign.texts import short

_LARGEST = 64 * 2**20
_NUMBERS = re.compile(r"[<>|=]?([biuf][1248])\Z")
_RECONSTRUCT, _SCALAR, _FROM_BUFFER = "_reconstruct", "scalar", "_frombuffer"


class _Inert:
    """What a name in a pickle becomes: it can be called, filled and set, and does nothing."""

    name = ""

    def __new__(cls, *arguments: Any, **keywords: Any) -> _Inert:
        made = super().__new__(cls)
        made.arguments = arguments
        return made

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.state: Any = None
        self.items: list[Any] = []

    arguments: tuple[Any, ...]

    def __call__(self, *arguments: Any, **keywords: Any) -> _Inert:
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        self.items.append(value)

    def extend(self, values: Any) -> None:
        self.items.extend(values)

    def add(self, value: Any) -> None:
        self.items.append(value)


# The Python unpickler: the C one allocates as much memory as an opcode's argument says.
class _Reader(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """A placeholder for every name; a mapping for the one that holds `obs_rms` by key."""
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        # A class of its own for each name, so that nothing set on one reaches another.
        return type("_Named", (_Inert,), {"name": f"{module}.{name}"})

    def get_extension(self, code: int) -> Any:
        """The registry of extensions is this process's own, and none of a file's business."""
        raise pickle.UnpicklingError("it uses the registry of extensions")


def _unpickled(content: bytes, where: str) -> Any:
    try:
        # A first pass reads every opcode's argument, so that none claims more than there is.
        for _ in pickletools.genops(content):
            pass
        return _Reader(io.BytesIO(content)).load()
    except Exception as error:
        # A broken program can fail in any way; the file is at fault in all of them.
        text = " ".join(str(error).split())[:200]
        raise BadInput(
            f"{where} cannot be read as data: {type(error).__name__}: {text}",
            "a vecnormalize.pkl that VecNormalize.save() wrote",
        ) from error


@dataclasses.dataclass(frozen=True)
class Moments:
    """Running mean and variance of one observation, float64, of its shape."""

    mean: np.ndarray
    variance: np.ndarray


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What VecNormalize does to observations.

    Attributes:
        moments: By key of a Dict observation; the key None stands for any other.
        epsilon: Added to the variance.
        limit: Results are clipped to plus and minus this.
        sha256: Of the file.
    """

    moments: Mapping[str | None, Moments]
    epsilon: float
    limit: float
    sha256: str


def read(path: Path) -> Statistics | None:
    """The observation statistics in a `vecnormalize.pkl`; None where it normalises rewards only.

    Raises:
        BadInput: It is no such file, or a number in it cannot be right.
    """
    content = read_file(path, _LARGEST)
    root = _unpickled(content, path.name)
    state = root.state if isinstance(root, _Inert) else None
    if not isinstance(state, dict) or not {"clip_obs", "epsilon", "ret_rms"} <= set(state):
        raise BadInput(
            f"{path.name} does not hold a VecNormalize",
            "a vecnormalize.pkl that VecNormalize.save() wrote",
        )
    if not state.get("norm_obs", True):
        return None
    epsilon, limit = (_number(state, key, path.name) for key in ("epsilon", "clip_obs"))
    found = state.get("obs_rms")
    moments: dict[str | None, Moments]
    if isinstance(found, dict):
        keys = state.get("norm_obs_keys") or list(found)
        moments = {str(key): _moments(found.get(key), path.name) for key in keys}
    else:
        moments = {None: _moments(found, path.name)}
    return Statistics(moments, epsilon, limit, hashlib.sha256(content).hexdigest())


def _number(state: Mapping[Any, Any], key: str, where: str) -> float:
    value = state[key]
    number = float(_array(value)) if isinstance(value, _Inert) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < np.inf:
        raise BadInput(f"{where}: {key} is {short(number, 40)}", "a number above 0")
    return float(number)


def _moments(source: Any, where: str) -> Moments:
    state = source.state if isinstance(source, _Inert) else None
    if not isinstance(state, dict) or not {"mean", "var"} <= set(state):
        raise BadInput(
            f"{where} holds no running mean of observations", "obs_rms with mean and var"
        )
    try:
        mean, variance = (np.array(_array(state[k]), np.float64) for k in ("mean", "var"))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise BadInput(f"{where}: a running mean is no array: {error}", "NumPy numbers") from error
    if mean.shape != variance.shape or not np.isfinite(mean).all():
        raise BadInput(f"{where}: a running mean is not finite", "numbers of one shape")
    if not (np.isfinite(variance).all() and (variance >= 0).all()):
        raise BadInput(
            f"{where}: a running variance is negative or not finite", "numbers from 0 up"
        )
    return Moments(mean, variance)


def _array(value: Any) -> np.ndarray:
    """An array or a scalar from the notes that its pickled construction left behind."""
    if isinstance(value, bool | int | float):
        return np.asarray(value)
    if not isinstance(value, _Inert):
        raise ValueError(f"{short(value, 40)} is no number")
    function = value.name.rpartition(".")[2]
    if not value.name.startswith("numpy"):
        raise ValueError(f"{value.name} is no array")
    if function == _SCALAR:
        kind, content = value.arguments
        return np.frombuffer(_bytes(content), _dtype(kind)).reshape(())
    if function == _FROM_BUFFER:
        content, kind, shape, order = value.arguments
        return _filled(_bytes(content), _dtype(kind), shape, order == "F")
    if function == _RECONSTRUCT:
        _, shape, kind, fortran, content = value.state
        return _filled(_bytes(content), _dtype(kind), shape, bool(fortran))
    raise ValueError(f"{value.name} is no array")


def _filled(content: bytes, kind: np.dtype[Any], shape: Any, fortran: bool) -> np.ndarray:
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"shape {short(shape, 40)}")
    return np.frombuffer(content, kind).reshape(shape, order="F" if fortran else "C")


def _bytes(content: Any) -> bytes:
    if isinstance(content, _Inert) and content.name == "_codecs.encode":
        # How protocols before 3 write bytes: as text, to be encoded in Latin-1.
        text, encoding = content.arguments
        if isinstance(text, str) and encoding in ("latin1", "latin-1"):
            return text.encode("latin-1")
    if not isinstance(content, bytes | bytearray):
        raise ValueError("its numbers are no bytes")
    return bytes(content)


def _dtype(kind: Any) -> np.dtype[Any]:
    """The type that a pickled `numpy.dtype` stands for, its byte order included."""
    text = kind.arguments[0] if isinstance(kind, _Inert) and kind.arguments else None
    match = _NUMBERS.match(text) if isinstance(text, str) and kind.name == "numpy.dtype" else None
    if match is None:
        raise ValueError(f"type {short(text, 40)}")
    order = kind.state[1] if isinstance(kind.state, tuple) and len(kind.state) > 1 else "="
    return np.dtype(f"{order if order in ('<', '>') else '='}{match[1]}")

"""Arrays in JSON: `{dtype, shape, zlib}`, base64 of the deflated little-endian bytes in C order."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

_MOST_BYTES = 1 << 28


def encode(array: np.ndarray) -> dict[str, Any]:
    """An array of numbers as plain data."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    text = base64.b64encode(zlib.compress(little.tobytes(), 9)).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "zlib": text}


def decode(data: Mapping[str, Any], field: str) -> np.ndarray:
    """The array that `encode` gave; never more memory than it declares, at most 256 MiB.

    Raises:
        ValueError: The data are no such array; names the field.
    """
    dtype = np.dtype(str(data["dtype"]))
    shape = tuple(data["shape"])
    _require(dtype.kind in "iuf" and all(type(n) is int and n >= 0 for n in shape), field)
    size = math.prod(shape) * dtype.itemsize
    _require(len(shape) >= 1 and size <= _MOST_BYTES, field)
    inflater = zlib.decompressobj()
    try:
        # Never more than was declared, whatever the file holds.
        raw = inflater.decompress(base64.b64decode(data["zlib"], validate=True), size + 1)
    except zlib.error as error:
        raise ValueError(f"field {field!r}: {error}") from error
    _require(inflater.eof and len(raw) == size, field)
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def _require(sound: bool, field: str) -> None:
    if not sound:
        raise ValueError(f"field {field!r} is not what it should be")

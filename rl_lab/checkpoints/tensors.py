"""Arrays in one file, in the safetensors format: a JSON header, then the bytes.

https://github.com/huggingface/safetensors: eight bytes with the header's length, the header, the
arrays one after the other in little-endian order. Nothing in it can be executed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from rl_lab.errors import Failed

_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}


def write(arrays: Mapping[str, np.ndarray], put: Callable[[bytes | memoryview], object]) -> None:
    """Write arrays through `put`, piece by piece and without a copy where they allow it.

    Raises:
        Failed: An array is of a type that the format does not have.
    """
    header: dict[str, object] = {}
    offset = 0
    for name, array in arrays.items():
        dtype = array.dtype.newbyteorder("<").str
        if dtype not in _NAMES:
            raise Failed(f"{name} is an array of {array.dtype}", f"one of {', '.join(_NAMES)}")
        ends = [offset, offset + array.nbytes]
        header[name] = {"dtype": _NAMES[dtype], "shape": list(array.shape), "data_offsets": ends}
        offset = ends[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    put(struct.pack("<Q", len(text)) + text)
    for array in arrays.values():
        if array.nbytes:
            little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            put(little.reshape(-1).view(np.uint8).data)


def read(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file, as copies in memory.

    Raises:
        ValueError: The file is not of this format.
    """
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, stop = entry["data_offsets"]
        flat = np.frombuffer(body[start:stop], _TYPES[entry["dtype"]])
        found[name] = flat.reshape(entry["shape"]).copy()
    return found

"""One number for a state: equal states, equal digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection

from rl_lab.states import Ring, State


def digest(state: State, parts: Collection[str]) -> str:
    """The SHA-256 of parts of a state in memory, in hexadecimal.

    Args:
        state: Its rings must be `Ring`s; rows that were never written do not count.
        parts: Which parts.
    """
    sums = hashlib.sha256()
    for part in sorted(parts):
        sums.update(json.dumps([part, state.data.get(part)], sort_keys=True).encode())
    for name in sorted(state.arrays):
        if name.partition(".")[0] in parts:
            array = state.arrays[name]
            sums.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    for ring_name, ring in sorted(state.rings.items()):
        if ring_name in parts and isinstance(ring, Ring):
            used = min(ring.written, ring.capacity)
            for name in sorted(ring.arrays):
                sums.update(f"{ring_name} {name} {ring.written}".encode())
                sums.update(ring.arrays[name][:used].tobytes())
    return sums.hexdigest()

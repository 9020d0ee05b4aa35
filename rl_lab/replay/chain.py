"""The running hash over an episode's observations.

`digest_k = SHA-256(digest_(k-1) + form + bytes)`, the first digest before it being empty: once an
observation differs, every later digest differs too, so the last one vouches for all.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


def link(digest: bytes, observation: Any) -> bytes:
    """The digest after one more observation (an array, a number, or a dict of these)."""
    running = hashlib.sha256(digest)
    parts = sorted(observation.items()) if isinstance(observation, dict) else [("", observation)]
    for key, part in parts:
        array = np.asarray(part)
        running.update(f"{key}:{array.dtype.str}:{array.shape};".encode())
        running.update(array.tobytes())
    return running.digest()


def mark(digest: bytes) -> int:
    """The digest's first four bytes: enough to name the step at which two episodes part."""
    return int.from_bytes(digest[:4], "big")

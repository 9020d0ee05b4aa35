"""MuJoCo's `MjData` as arrays.

All of it, not MuJoCo's own "integration state": environments read derived quantities of the last
step (contact forces, body positions) before they are computed anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_SCALARS = ("time",)


def is_data(value: Any) -> bool:
    """Whether a value is an `MjData`."""
    kind = type(value)
    return kind.__name__ == "MjData" and kind.__module__.partition(".")[0] == "mujoco"


def fields(data: Any) -> dict[str, Any]:
    """Every array and flag of an `MjData`; what lies in its arena is made anew by each step."""
    found = {}
    for name in dir(data):
        if name.startswith("_"):
            continue
        value = getattr(data, name)
        if isinstance(value, np.ndarray) or name in _SCALARS or name.startswith("flg_"):
            found[name] = value
    return found


def write(data: Any, stored: Mapping[str, Any]) -> None:
    """Write stored fields into an `MjData` of the same model."""
    for name, value in stored.items():
        current = getattr(data, name)
        if not isinstance(current, np.ndarray):
            setattr(data, name, value)
        elif current.shape == value.shape:
            current[...] = value

"""How functions are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile a function; what was compiled once is found in the cache beside the source.

    Sums may be taken in another order and multiplications fused, which vectorises loops; NaN and
    infinity keep their meaning, since faults are found by them.
    """
    compiled: Any = numba.njit(
        cache=True,
        error_model="numpy",
        fastmath={"contract", "reassoc", "nsz", "arcp"},
        nogil=True,
    )(function)
    made: F = compiled
    return made

"""Whose classes are known to lose nothing in a checkpoint, and which values are never state."""

from __future__ import annotations

import dis
import functools
import sys
import types
from typing import Any

# Whose classes are tested for losing nothing that matters.
_LIBRARY = frozenset(
    {"rl_lab", "rl_lab_agents", "stable_baselines3", "sb3_contrib", "gymnasium", "torch"}
)
_FIXED = (type, types.ModuleType, types.BuiltinFunctionType)


def is_of_the_library(module: str) -> bool:
    """Whether classes of a module are the lab's or of what it builds on: known and tested."""
    return module.partition(".")[0] in _LIBRARY


@functools.cache
def names_of_the_library(kind: type) -> frozenset[str]:
    """The attributes that classes of the library set on instances of a class."""
    found: set[str] = set()
    for ancestor in kind.__mro__:
        if is_of_the_library(ancestor.__module__):
            for member in vars(ancestor).values():
                code = getattr(member, "__code__", None)
                if code is not None:
                    found |= {
                        i.argval for i in dis.get_instructions(code) if i.opname == "STORE_ATTR"
                    }
    return frozenset(found)


def is_code(value: Any) -> bool:
    """Whether a value is a class, a module or a function that can be imported: never state."""
    if isinstance(value, types.FunctionType):
        home: Any = sys.modules.get(value.__module__)
        for name in value.__qualname__.split("."):
            home = getattr(home, name, None)
        return home is value
    return isinstance(value, _FIXED)

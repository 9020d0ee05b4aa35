"""What a training is made of at one instant, as plain data and arrays; nothing executable."""

from rl_lab.states.state import (
    ALL,
    CARRIED,
    ENVIRONMENTS,
    NORMALIZER,
    PROGRESS,
    RANDOM,
    REPLAY,
    WEIGHTS,
    Ring,
    State,
    StateMismatch,
)
from rl_lab.states.tree import decode, encode

__all__ = [
    "ALL",
    "CARRIED",
    "ENVIRONMENTS",
    "NORMALIZER",
    "PROGRESS",
    "RANDOM",
    "REPLAY",
    "WEIGHTS",
    "Ring",
    "State",
    "StateMismatch",
    "decode",
    "encode",
]

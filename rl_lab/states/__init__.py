"""What a training is made of at one instant, as plain data and arrays; nothing executable."""

from rl_lab.states.decoding import decode, decode_attributes
from rl_lab.states.encoding import encode, encode_attributes
from rl_lab.states.ownership import is_code, is_of_the_library, names_of_the_library
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
    "decode_attributes",
    "encode",
    "encode_attributes",
    "is_code",
    "is_of_the_library",
    "names_of_the_library",
]

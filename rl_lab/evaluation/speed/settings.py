"""What the measurement of decision times may cost, and its form in `speed.json`."""

from __future__ import annotations

import dataclasses
from typing import Any

from rl_lab.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Settings:
    """How decision times are measured; 0 leaves a part out, and `calls=0` everything.

    Attributes:
        calls: SingleStream decisions per policy and process.
        repeats: Fresh processes of SingleStream, one after the other.
        warm_up_s: Decisions that are not kept, per policy and process; at least 200 calls.
        server_s: Open-loop arrivals per policy, all loads together.
        offline_s: Batches per policy, all sizes together.
        multi_stream_s: Closed-loop batches per policy, all sizes together.
        energy_s: The span over which CPU seconds and joules are read, per policy.
        cold_start_repeats: Fresh interpreters per policy.
        reference: Whether each policy is also timed through the library that trained it.
    """

    calls: int
    repeats: int
    warm_up_s: float
    server_s: float
    offline_s: float
    multi_stream_s: float
    energy_s: float
    cold_start_repeats: int
    reference: bool

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            given, least = getattr(self, field.name), int(field.name == "repeats")
            if given < least:
                raise BadInput(
                    f"evaluation.speed.{field.name}={given}",
                    f"a number from {least} up",
                    "Choose a larger one.",
                )


def missing(key: str, reason: str) -> dict[str, Any]:
    """A value that is not there, in the form that files have for it."""
    return {key: None, f"{key}_reason": reason}


def left_out(key: str, setting: str) -> dict[str, Any]:
    """A block that the settings leave out."""
    return missing(key, f"left out by evaluation.speed.{setting}=0")

"""What `to=` of `rl-lab replay` asks for."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TERMINAL = Path("-")
RECORDING = ".json"
_PLAYER = ".html"


class Kind(enum.Enum):
    """Where an episode goes."""

    UNSAID = enum.auto()
    TERMINAL = enum.auto()
    FOLDER = enum.auto()
    PLAYER = enum.auto()
    RECORDING = enum.auto()
    PICTURES = enum.auto()


def given(data: Mapping[str, Any]) -> Path | None:
    """The verb's `to=`."""
    return None if data["to"] is None else Path(str(data["to"]))


def kind(to: Path | None) -> Kind:
    """What `to=` is, by its suffix; whether pictures of that suffix can be made is not asked."""
    if to is None:
        return Kind.UNSAID
    if to == TERMINAL:
        return Kind.TERMINAL
    if to.is_dir() or not to.suffix:
        return Kind.FOLDER
    return {_PLAYER: Kind.PLAYER, RECORDING: Kind.RECORDING}.get(to.suffix.lower(), Kind.PICTURES)

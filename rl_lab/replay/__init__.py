"""Replay: episodes kept as seed and actions, re-simulated, verified and drawn at any time."""

from __future__ import annotations

from rl_lab.replay.clips import Clip, ClipSettings, clip, moving_pictures
from rl_lab.replay.drawing import (
    Rendered,
    render,
    require_drawable,
    require_sizes,
    spell,
    target,
    watch,
)
from rl_lab.replay.films import Take, film, require_filmable
from rl_lab.replay.picking import pick, require_known
from rl_lab.replay.recording import Replay, file_stem, record
from rl_lab.replay.simulation import Verdict, verify
from rl_lab.replay.storing import free, holds, load, save

__all__ = [
    "Clip",
    "ClipSettings",
    "Rendered",
    "Replay",
    "Take",
    "Verdict",
    "clip",
    "file_stem",
    "film",
    "free",
    "holds",
    "load",
    "moving_pictures",
    "pick",
    "record",
    "render",
    "require_drawable",
    "require_filmable",
    "require_known",
    "require_sizes",
    "save",
    "spell",
    "target",
    "verify",
    "watch",
]

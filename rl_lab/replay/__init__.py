"""Replay: episodes kept as seed and actions, re-simulated, verified and drawn at any time."""

from __future__ import annotations

from rl_lab.replay.clips import Clip, clip, moving_pictures
from rl_lab.replay.drawing import Rendered, render, watch
from rl_lab.replay.films import Take, film
from rl_lab.replay.picking import pick, require_known
from rl_lab.replay.recording import Replay, file_stem, record
from rl_lab.replay.simulation import Verdict, verify
from rl_lab.replay.storing import load, save

__all__ = [
    "Clip",
    "Rendered",
    "Replay",
    "Take",
    "Verdict",
    "clip",
    "file_stem",
    "film",
    "load",
    "moving_pictures",
    "pick",
    "record",
    "render",
    "require_known",
    "save",
    "verify",
    "watch",
]

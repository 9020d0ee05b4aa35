"""Replay: episodes kept as seed and actions, re-simulated, verified and drawn at any time."""

from __future__ import annotations

from rl_lab.replay.drawing import Rendered, render, watch
from rl_lab.replay.picking import pick
from rl_lab.replay.recording import Replay, file_stem, record
from rl_lab.replay.simulation import Verdict, verify
from rl_lab.replay.storing import load, save

__all__ = [
    "Rendered",
    "Replay",
    "Verdict",
    "file_stem",
    "load",
    "pick",
    "record",
    "render",
    "save",
    "verify",
    "watch",
]

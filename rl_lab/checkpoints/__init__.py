"""Checkpoints: folders that are whole or absent, found newest first, verified before use."""

from rl_lab.checkpoints.keeping import Keep, clean, prune
from rl_lab.checkpoints.reading import Checkpoint, Damaged, final, newest, opened, steps
from rl_lab.checkpoints.writing import write

__all__ = [
    "Checkpoint",
    "Damaged",
    "Keep",
    "clean",
    "final",
    "newest",
    "opened",
    "prune",
    "steps",
    "write",
]

"""Checkpoints: folders that are whole or absent, found newest first, verified before use."""

from rl_lab.checkpoints.digests import digest
from rl_lab.checkpoints.keeping import Keep, clean, prune
from rl_lab.checkpoints.reading import Checkpoint, Damaged, final, newest, opened, peek, steps
from rl_lab.checkpoints.writing import set_aside, write

__all__ = [
    "Checkpoint",
    "Damaged",
    "Keep",
    "clean",
    "digest",
    "final",
    "newest",
    "opened",
    "peek",
    "prune",
    "set_aside",
    "steps",
    "write",
]

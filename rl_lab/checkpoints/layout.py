"""How a checkpoint lies on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab import files

FORMAT = "rl_lab.checkpoint"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
DATA = "state.json"
ARRAYS = "arrays.safetensors"
BEST = "best"
PREFIX = "step-"
TEMPORARY, TRASH, DAMAGED = ".tmp-", ".trash-", "damaged-"


def folder_name(step: int) -> str:
    """The name under which a checkpoint of a step is committed."""
    return f"{PREFIX}{step:09d}"


def seal(manifest: Mapping[str, Any]) -> str:
    """What guards a manifest itself against damage."""
    plain = {k: v for k, v in manifest.items() if k != "seal"}
    return files.canonical_sha256(plain)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

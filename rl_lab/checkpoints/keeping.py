"""Which checkpoints stay."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
from pathlib import Path

from rl_lab.checkpoints import layout
from rl_lab.checkpoints.reading import steps


@dataclasses.dataclass(frozen=True)
class Keep:
    """Which checkpoints of a run stay.

    Attributes:
        last: So many of the newest.
        best: Also the one with the highest score of those that were scored when taken.
        every_steps: Also those where this many steps went by since the last one kept; 0: none.
    """

    last: int
    best: bool
    every_steps: int


def prune(root: Path, keep: Keep) -> list[str]:
    """Delete the checkpoints that need not stay.

    Returns:
        What could not be deleted, as sentences; none of it matters for the training.
    """
    found = steps(root)
    kept = set(found[-keep.last :])
    if keep.best and (best := _best(root, found)) is not None:
        kept.add(best)
    if keep.every_steps:
        kept |= _spaced(found, keep.every_steps)
    complaints = [
        complaint
        for step in found
        if step not in kept and (complaint := _delete(root / layout.folder_name(step)))
    ]
    return complaints


def _best(root: Path, found: list[int]) -> int | None:
    scores = {step: _score(root / layout.folder_name(step)) for step in found}
    scored = {step: score for step, score in scores.items() if math.isfinite(score)}
    # Of equals the later one, which has learned from more.
    return max(scored, key=lambda step: (scored[step], step), default=None)


def _score(folder: Path) -> float:
    try:
        score = json.loads((folder / layout.MANIFEST).read_bytes()).get("score")
    except (OSError, ValueError, AttributeError):
        return math.nan
    return float(score) if isinstance(score, int | float) else math.nan


def _spaced(found: list[int], every_steps: int) -> set[int]:
    kept: set[int] = set()
    due = every_steps
    for step in found:
        if step >= due:
            kept.add(step)
            due = (step // every_steps + 1) * every_steps
    return kept


def _delete(folder: Path) -> str:
    trash = folder.with_name(f"{layout.TRASH}{folder.name}-{os.getpid()}")
    try:
        os.rename(folder, trash)
        shutil.rmtree(trash)
    except OSError as error:
        return f"cannot delete {folder}: {error.strerror or error}"
    return ""


def clean(root: Path) -> None:
    """Take away what a killed writer left half-made or half-deleted."""
    for prefix in (layout.TEMPORARY, layout.TRASH):
        for path in root.glob(f"{prefix}*"):
            shutil.rmtree(path, ignore_errors=True)

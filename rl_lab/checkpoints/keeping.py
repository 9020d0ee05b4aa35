"""Which checkpoints stay."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping
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


def prune(root: Path, keep: Keep, scores: Mapping[int, float]) -> list[str]:
    """Delete the checkpoints that need not stay.

    Args:
        root: The run's folder of checkpoints.
        keep: Which must stay.
        scores: Step -> how well the policy of that step did, where that is known.

    Returns:
        What could not be deleted, as sentences; none of it matters for the training.
    """
    found = steps(root)
    kept = set(found[max(0, len(found) - keep.last) :])
    scored = [step for step in found if step in scores]
    if keep.best and scored:
        # Of equals the later one, which has learned from more.
        kept.add(max(scored, key=lambda step: (scores[step], step)))
    if keep.every_steps:
        kept |= _spaced(found, keep.every_steps)
    return [
        complaint
        for step in found
        if step not in kept and (complaint := _delete(root / layout.folder_name(step)))
    ]


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

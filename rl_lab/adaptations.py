"""Adaptation folders: what `adaptation.json` says, and the names of their frozen snapshots."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab import files, paths, runs
from rl_lab.errors import BadInput

FORMAT_VERSION = 1
# A run that goes on in another world, and its twin that starts there from scratch.
CONTINUED, SCRATCH = "continued", "scratch"
KINDS = (CONTINUED, SCRATCH)


def status(folder: Path) -> str | None:
    """How far an adaptation is; None where there is none yet."""
    return str(read(folder)["status"]) if (folder / paths.ADAPTATION).is_file() else None


def read(folder: Path) -> dict[str, Any]:
    """Read `adaptation.json`.

    Raises:
        BadInput: The folder holds none, or one of a newer format.
    """
    path = folder / paths.ADAPTATION
    if not path.is_file():
        raise BadInput(f"{folder} is not an adaptation", f"a folder with {paths.ADAPTATION}")
    do = "Update rl-lab, or adapt the run again."
    return files.read_versioned(path, FORMAT_VERSION, do)


def write(folder: Path, data: Mapping[str, Any]) -> None:
    """Write `adaptation.json`."""
    files.write_json(folder / paths.ADAPTATION, {"format_version": FORMAT_VERSION, **data})


def is_complete(folder: Path) -> bool:
    """Whether there is nothing left to do."""
    return status(folder) == runs.COMPLETE


@dataclasses.dataclass(frozen=True)
class SnapshotName:
    """Which snapshot a row of episode records is about.

    Attributes:
        contestant: The recipe's name within its evaluation.
        kind: CONTINUED or SCRATCH.
        shift: Name of the context that was adapted to.
        delta: Its magnitude.
        step: Environment steps in it.
    """

    contestant: str
    kind: str
    shift: str
    delta: float
    step: int

    def __str__(self) -> str:
        return f"{self.contestant}@{self.kind}:{self.shift}:{self.delta!r}:{self.step}"

    @classmethod
    def parse(cls, text: str) -> SnapshotName:
        """Read back what `str` gave.

        Raises:
            ValueError: It is not what that gives.
        """
        head, shift, delta, step = text.rsplit(":", 3)
        contestant, _, kind = head.rpartition("@")
        return cls(contestant, kind, shift, float(delta), int(step))

"""What is left for whoever has to find out why a training broke off."""

from __future__ import annotations

import contextlib
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rl_lab import files, provenance
from rl_lab.checkpoints import tensors
from rl_lab.errors import LabError

FOLDER = "crash"
FORMAT_VERSION = 1


def write(
    run: Path, error: Exception, step: int, checkpoint: int | None, tell: Callable[[str], None]
) -> None:
    """Leave `crash/` in a training's folder: what happened, where, and the last transitions.

    Args:
        run: That folder.
        error: What ended it.
        step: Environment steps at the last boundary before.
        checkpoint: The step from which the same command goes on; None is the beginning.
        tell: Told where it lies.
    """
    if isinstance(error, OSError) or isinstance(error.__cause__, OSError):
        return  # the message says all, and there may be no room for more
    folder = run / FOLDER
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    data = {
        "format_version": FORMAT_VERSION,
        "error": str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}",
        "traceback": "".join(lines),
        "step": step,
        "checkpoint": checkpoint,
        "versions": provenance.versions(),
    }
    with contextlib.suppress(LabError, OSError):
        shutil.rmtree(folder, ignore_errors=True)
        files.write_json(folder / "crash.json", data)
        evidence = {name: np.asarray(values) for name, values in _evidence(error).items()}
        if evidence:
            with (folder / "transitions.safetensors").open("wb") as file:
                tensors.write(evidence, file.write)
        tell(f"what is known about it: {folder}")


def _evidence(error: BaseException) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = dict(getattr(error, "evidence", {}))
    return found or (_evidence(error.__cause__) if error.__cause__ else {})

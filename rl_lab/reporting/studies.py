"""What `study.json` holds: read back with its version and its shape checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab import files, paths
from rl_lab.errors import BadInput

FORMAT_VERSION = 1
_KEYS = {
    *("name", "environment", "agent", "space", "objective", "words", "recipe"),
    *("trials", "importance", "winner"),
}
_TRIAL = {
    *("number", "state", "counts", "objectives", "checks", "values", "returns", "runs", "error"),
}


def load(folder: Path) -> Mapping[str, Any]:
    """A study as it was stored.

    Raises:
        BadInput: There is none, or it is of another format.
    """
    path = folder / paths.STUDY
    if not path.is_file():
        raise BadInput(
            f"{folder} holds no study",
            f"a folder with {paths.STUDY}",
            "`rl-lab tune` makes one.",
        )
    do = "Give the `rl-lab tune` command again, or update rl-lab to the version that made it."
    study = files.read_versioned(path, FORMAT_VERSION, do)
    missing = sorted(_KEYS - set(study))
    trials = study.get("trials")
    if not isinstance(trials, list) or not all(isinstance(trial, dict) for trial in trials):
        missing.append("trials as a list of objects")
    else:
        missing += sorted({name for trial in trials for name in _TRIAL - set(trial)})
    if missing:
        raise BadInput(f"{path} lacks {', '.join(missing)}", "a study as `rl-lab tune` writes it")
    return dict(study)

"""`scores.json`, as every part that reads an evaluation takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rl_lab import files, paths
from rl_lab.errors import BadInput

FORMAT_VERSION = 2


def read(path: Path) -> dict[str, Any]:
    """The content of an evaluation's `scores.json`.

    Raises:
        BadInput: It is not there, cannot be read, or is of another format.
    """
    if not path.is_file():
        raise _absent(path.parent)
    data = files.read_json(path)
    version = data.get("format_version") if isinstance(data, dict) else None
    known = version if type(version) is int else None
    if known == FORMAT_VERSION:
        return dict(data)
    do = "Update rl-lab to the version that made it, or repeat the evaluation under a new name=."
    if known == 1:
        do = "Give its evaluate command again with a new name=NAME."
        if isinstance(command := data.get("command"), str) and command:
            do = f"Give its evaluate command again with a new name=NAME: {command}"
    expected = f"version {FORMAT_VERSION}, the one this rl-lab reads"
    raise BadInput(f"{path} has format_version {version!r}", expected, do)


def unfinished_hint(plan: object) -> str:
    """How to go on with an evaluation of which there is only the plan (content of `plan.json`)."""
    command = plan.get("command") if isinstance(plan, dict) else None
    same = f": {command}" if isinstance(command, str) and command else "."
    return f"The same command goes on where it was{same}"


def _absent(folder: Path) -> BadInput:
    if (folder / paths.PLAN).is_file():
        return BadInput(
            f"the evaluation in {folder} is unfinished: it has no {paths.SCORES} yet",
            "an evaluation that has come to its end",
            unfinished_hint(files.read_json(folder / paths.PLAN)),
        )
    return BadInput(
        f"{folder} holds no evaluation",
        f"a folder with {paths.SCORES}",
        "`rl-lab list` shows the evaluations at hand.",
    )

"""Where things lie on disk."""

from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path

from rl_lab.errors import BadInput

POLICY_CARD = "policy.json"
POLICY_GRAPH = "policy.onnx"
REFERENCE = "reference.json"
RUN_CARD = "run.json"
RUN_CONFIG = "config.yaml"
ADAPTATION = "adaptation.json"
RUN_METRICS = "metrics.jsonl"
RUN_LOG = "log.txt"
CHECKPOINTS = "checkpoints"
PROGRESS = "progress.json"
EPISODES = "episodes.csv"
PLAN = "plan.json"  # of an evaluation, from before its first episode
DRIFT = "drift.csv"
SCORES = "scores.json"
SPEED = "speed.json"
REPORT = "report.html"
SUITE = "suite.json"
STUDY = "study.json"
RUN_EVALUATION = "evaluation"  # in a run: events with its final scores
REPLAYS, REPLAYS_INDEX = "replays", "replays.json"
JOBS = ".jobs"


def conf_dir() -> Path:
    """The shipped configuration: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def recipe_folder(output: Path, environment: str, agent: str, recipe_hash: str) -> Path:
    """The folder of all runs of one recipe."""
    return output / "train" / file_name(environment) / f"{agent}-{recipe_hash}"


def run_folder(recipe: Path, seed: int) -> Path:
    """The folder of one run."""
    return recipe / f"seed_{seed}"


def snapshot_folder(run: Path, step: int) -> Path:
    """The frozen policy that a run kept after so many environment steps."""
    return run / "snapshots" / f"step-{step:09d}"


def snapshots(run: Path) -> list[Path]:
    """All frozen policies that a run kept on its way, earliest first."""
    return sorted(path.parent for path in (run / "snapshots").glob(f"step-*/{POLICY_CARD}"))


def evaluation_folder(output: Path, name: str) -> Path:
    """The folder of one evaluation."""
    return output / "evaluate" / Path(*map(file_name, name.split("/")))


def file_name(text: str) -> str:
    """A file name that keeps `text` recognisable and cannot leave its folder."""
    name = "".join(c if c.isalnum() or c in "-_.,=+" else "_" for c in text).lstrip(".-")
    return name[:120] or "_"


def find(folder: Path, marker: str) -> list[Path]:
    """All folders at or below `folder` that hold a file named `marker`, sorted."""
    if (folder / marker).is_file():
        return [folder]
    found = []
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if marker in files:
            found.append(Path(path))
            folders.clear()
    return found


def one(pattern: str) -> Path:
    """The path that a pattern such as `outputs/train/*/ppo-*/seed_0` stands for.

    Raises:
        BadInput: It matches several paths, or none.
    """
    if not glob.has_magic(pattern) or Path(pattern).exists():
        return Path(pattern)
    found = sorted(glob.glob(pattern))
    if len(found) != 1:
        some = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise BadInput(f"{pattern!r} matches {some or 'nothing'}", "exactly one path")
    return Path(found[0])


def require_writable(folder: Path) -> None:
    """Refuse an output folder in which nothing can be made, before anything is done.

    Raises:
        BadInput: The folder, or its nearest existing parent, cannot be written to.
    """
    try:
        existing = folder.absolute()
        while not existing.exists():
            existing = existing.parent
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        raise BadInput(
            f"cannot write to {folder}: {error.strerror or error}",
            "a writable folder with free space",
            "Free some space or choose another one with output=FOLDER.",
        ) from error

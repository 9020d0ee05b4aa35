"""What an evaluation folder holds, and why a part of it is missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rl_lab import files, paths, records, scores_file
from rl_lab.errors import BadInput
from rl_lab.records import EpisodeRecord

Data = Mapping[str, Any]
T = TypeVar("T")

# Of what lies beside the scores.
FORMAT_VERSION = 1
NOT_STORED = "not stored in scores.json"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The files of one evaluation.

    Attributes:
        folder: Where they lie.
        scores: Content of `scores.json`.
        speed: Content of `speed.json`; None where there is none.
        speed_reason: Why there is none; "" where there is.
        episodes: Rows of `episodes.csv`; None where there are none.
        episodes_reason: Why there are none; "" where there are.
        replays: Content of `replays/replays.json`; None where there is none.
        replays_reason: Why there is none; "" where there is.
    """

    folder: Path
    scores: Data
    speed: Data | None
    speed_reason: str
    episodes: Sequence[EpisodeRecord] | None
    episodes_reason: str
    replays: Data | None
    replays_reason: str

    @property
    def contestants(self) -> Sequence[Data]:
        """In the order of the leaderboard."""
        return self.scores.get("contestants") or []

    def times(self, name: str) -> Data:
        """A contestant's decision times; empty where they are missing."""
        return block(block(self.speed or {}, "contestants"), name)

    def times_reason(self, name: str) -> str:
        """Why a contestant has no decision times; "" where it has."""
        if self.speed is None:
            return self.speed_reason
        return "" if self.times(name) else "not measured for this contestant"


def load(folder: Path) -> Evaluation:
    """Read an evaluation folder.

    Raises:
        BadInput: `scores.json` is missing or of another format.
    """
    scores = scores_file.read(folder / paths.SCORES)
    speed, speed_reason = _optional(folder, paths.SPEED, _versioned)
    episodes, episodes_reason = _optional(folder, paths.EPISODES, records.read)
    place = f"{paths.REPLAYS}/{paths.REPLAYS_INDEX}"
    replays, replays_reason = _optional(folder, place, _versioned)
    return Evaluation(
        folder=folder,
        scores=scores,
        speed=speed,
        speed_reason=speed_reason,
        episodes=episodes,
        episodes_reason=episodes_reason,
        replays=replays,
        replays_reason=replays_reason,
    )


def _optional(folder: Path, name: str, read: Callable[[Path], T]) -> tuple[T | None, str]:
    """A file's content and "", or None and why it is not used."""
    try:
        return read(folder / name), ""
    except BadInput as error:
        return None, _reason(folder / name, error)


def _versioned(path: Path) -> Data:
    do = "Repeat the evaluation, or update rl-lab to the version that made it."
    return files.read_versioned(path, FORMAT_VERSION, do)


def _reason(path: Path, error: BadInput) -> str:
    """Why a file is not used, without the folder's name: the report may be sent to others."""
    if not path.exists():
        return f"there is no {path.name}"
    return error.came.replace(str(path), path.name)


def block(data: Data, key: str) -> Data:
    """A part of the data; empty where it is missing or null."""
    return data.get(key) or {}


def mean_of(contestant: Data) -> Data:
    """A contestant's mean return with its interval; empty where it is missing."""
    return block(block(contestant, "reward"), "mean")


def not_learned(contestant: Data) -> str:
    """Why a contestant's robustness says little; "" where it had something to lose."""
    if block(contestant, "robustness").get("learned") is not False:
        return ""
    return "nominal not learned: at home it scores below 0.1, so there is little to lose"


def reason(data: Data, key: str) -> str:
    """Why `data[key]` is null, as stored beside it."""
    return str(data.get(f"{key}_reason") or NOT_STORED)


def find_run(folder: Path, run: str) -> Path | None:
    """A run folder whose path was stored as text, even where all outputs were moved together.

    Args:
        folder: The evaluation folder.
        run: The path, absolute or relative to where the evaluation was started.
    """
    candidates = [Path(run), *(parent / run for parent in folder.resolve().parents)]
    return next((path for path in candidates if path.is_dir()), None)

"""Episode records: one row per evaluated episode, the raw material of every score."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rl_lab import files
from rl_lab.errors import BadInput


@dataclasses.dataclass(frozen=True, order=True)
class EpisodeRecord:
    """One evaluated episode; rows sort by who, then where, then the episode's seed.

    Attributes:
        contestant: The recipe's name within its evaluation.
        training_seed: The seed the policy was trained with; -1 where it is not known.
        environment: The Gymnasium id.
        shift: The shift's name; "none" for the training context; further shifts at the same time
            follow as "+name@magnitude".
        delta: The shift's magnitude in [0, 1]; where it moves within the episode, what it moves to.
        schedule: How the magnitude moves, such as "step at 100 steps"; "none" where it does not.
        evaluation_seed: The seed given to `env.reset`.
        episode_return: The undiscounted sum of rewards.
        length: The number of environment steps.
        terminated: The environment reached a final state.
        truncated: A limit outside the task (time) cut the episode.
    """

    contestant: str
    training_seed: int
    environment: str
    shift: str
    delta: float
    schedule: str
    evaluation_seed: int
    episode_return: float
    length: int
    terminated: bool
    truncated: bool

    @property
    def context(self) -> tuple[str, float, str]:
        """The world it was lived in, as `rl_lab.shifts.Context.key` names it."""
        return self.shift, self.delta, self.schedule

    @property
    def key(self) -> tuple[str, int, tuple[str, float, str], int]:
        """What was evaluated, without what came of it."""
        return self.contestant, self.training_seed, self.context, self.evaluation_seed


COLUMNS = tuple(field.name for field in dataclasses.fields(EpisodeRecord))
_TYPES = typing.get_type_hints(EpisodeRecord)


def to_row(record: EpisodeRecord) -> list[str]:
    """The record as CSV cells; numbers in the shortest form that reads back equal."""
    return [_cell(getattr(record, column)) for column in COLUMNS]


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return repr(value) if isinstance(value, float) else str(value)


def from_row(row: dict[str, str]) -> EpisodeRecord:
    """The record of one CSV row."""
    return EpisodeRecord(**{c: _value(_TYPES[c], row[c]) for c in COLUMNS})


def _value(kind: type, cell: str) -> Any:
    return cell == "1" if kind is bool else kind(cell)


def to_csv(records: Iterable[EpisodeRecord]) -> str:
    """All records, sorted, as CSV text: the same set of records is always the same text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(to_row(record) for record in sorted(records))
    return text.getvalue()


def write(path: Path, records: Iterable[EpisodeRecord]) -> None:
    """Write the sorted table atomically."""
    files.write_text(path, to_csv(records))


def read(path: Path) -> list[EpisodeRecord]:
    """Read a table of episode records.

    Raises:
        BadInput: The file is missing or is not such a table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError("other columns")
            return [from_row(row) for row in reader]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"cannot read episode records from {path}: {type(error).__name__}: {error}",
            f"a CSV file with the columns {', '.join(COLUMNS)}",
            "Repeat the evaluation.",
        ) from error


def read_journal(path: Path) -> list[EpisodeRecord]:
    """The whole rows of a journal that may end in the middle of a row."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    records = []
    for cells in csv.reader(lines):
        # What cannot be read is run again; the journal only saves work.
        with contextlib.suppress(ValueError):
            records.append(from_row(dict(zip(COLUMNS, cells, strict=True))))
    return records

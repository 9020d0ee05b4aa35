"""A run's `metrics.jsonl`: one JSON object per log point."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from rl_lab import files, paths
from rl_lab.errors import BadInput

STEP, TIME_S = "step", "time_s"


class MetricsLog:
    """Appends log points to a run's `metrics.jsonl`; every point is on disk when it is added.

    Args:
        folder: The run folder; made if need be.
        after: Go on after this `place`, forgetting what follows; None keeps all whole lines.

    Raises:
        Failed: The folder cannot be written to.
    """

    def __init__(self, folder: Path, after: int | None = None) -> None:
        self._path = folder / paths.RUN_METRICS
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if after is not None and self._path.exists():
                os.truncate(self._path, min(after, self._path.stat().st_size))
            _drop_half_line(self._path)
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise files.cannot_write(self._path, error) from error

    def append(self, step: int, time_s: float, values: Mapping[str, float]) -> None:
        """Add one log point.

        Args:
            step: Environment steps so far.
            time_s: Seconds since learning began.
            values: Tag -> value; NaN and infinity become null.
        """
        point = {STEP: step, TIME_S: round(time_s, 3), **{t: _plain(v) for t, v in values.items()}}
        try:
            self._file.write(json.dumps(point, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise files.cannot_write(self._path, error) from error

    def place(self) -> int:
        """Bytes so far; all of them are on the disk when this returns."""
        try:
            files.sync(self._file.fileno())
            return self._path.stat().st_size
        except OSError as error:
            raise files.cannot_write(self._path, error) from error

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _plain(value: float) -> float | int | None:
    if isinstance(value, int):
        return int(value)
    return float(value) if math.isfinite(value) else None


def _drop_half_line(path: Path) -> None:
    """Cut what a killed writer left of its last line, so that the next one starts a line."""
    if path.exists():
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(path, whole)


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The log points of a run in the order written, null as NaN; a half last line is left out.

    Raises:
        BadInput: The file is missing, or is not a log of metrics.
    """
    path = folder / paths.RUN_METRICS
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
        points = [json.loads(line) for line in lines]
        return [{t: math.nan if v is None else v for t, v in p.items()} for p in points]
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(
            f"cannot read {path}: {error}", "one JSON object per line", "Train the run anew."
        ) from error

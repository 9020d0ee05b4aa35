"""From folders to rows; whatever is damaged becomes a row that says so."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab import paths, scores_file
from rl_lab.listing.found import (
    COMPLETE,
    RUNNING,
    STALE,
    UNFINISHED,
    UNREADABLE,
    EvaluationRow,
    PolicyRow,
    Rows,
    RunRow,
)

_STALE_AFTER_S = 60.0


def rows(folder: Path) -> Rows:
    """All runs, frozen policies outside runs, and evaluations below a folder, in order of path."""
    return Scanner().rows(folder)


class Scanner:
    """Looks at folders again and again, and reads only the files that have changed."""

    def __init__(self) -> None:
        self._known: dict[Path, _Content] = {}

    def rows(self, folder: Path) -> Rows:
        """As the function `rows`."""
        now = time.time()
        found: Rows = ([], [], [])
        before, self._known = self._known, {}
        for path, folders, files in os.walk(folder):
            place = Path(path)
            if paths.RUN_CARD in files:
                card = self._read(place / paths.RUN_CARD, before)
                beat = self._read(place / paths.PROGRESS, before)
                found[0].append(_run(place, card, beat, now))
            elif paths.POLICY_CARD in files:
                found[1].append(_policy(place, self._read(place / paths.POLICY_CARD, before), now))
            elif paths.SCORES in files:
                found[2].append(_evaluation(place, self._read(place / paths.SCORES, before), now))
            elif paths.PLAN in files:
                found[2].append(_unfinished(place, self._read(place / paths.PLAN, before), now))
            elif paths.ADAPTATION in files:
                pass  # its snapshots are steps of one training, not policies to choose from
            else:
                folders[:] = sorted(f for f in folders if not f.startswith("."))
                continue
            folders.clear()
        return found

    def _read(self, path: Path, before: Mapping[Path, _Content]) -> _Content:
        known = before.get(path)
        try:
            stamp = _stamp(path)
            if known is None or known.stamp != stamp:
                known = _content(path, stamp)
        except OSError as error:
            known = _Content({}, f"{path.name}: {type(error).__name__}", (0, 0, 0), math.nan)
        self._known[path] = known
        return known


@dataclasses.dataclass(frozen=True)
class _Content:
    """A JSON object in a file; {} and what is wrong with the file where it holds none.

    Attributes:
        data: The object.
        fault: "" where nothing is wrong.
        stamp: Changes whenever the file does.
        written: Seconds since the epoch.
    """

    data: Mapping[str, Any]
    fault: str
    stamp: tuple[int, int, int]
    written: float

    def age_s(self, now: float) -> float:
        """Seconds since it was written; NaN where it is not there."""
        return math.nan if math.isnan(self.written) else max(0.0, now - self.written)


def _stamp(path: Path) -> tuple[int, int, int]:
    """Each of our files is replaced as a whole, so even one of equal time is another inode."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size, status.st_ino


def _content(path: Path, stamp: tuple[int, int, int]) -> _Content:
    written = stamp[0] / 1e9
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return _Content({}, f"{path.name}: {type(error).__name__}", stamp, written)
    if not isinstance(data, dict):
        return _Content({}, f"{path.name}: not an object", stamp, written)
    return _Content(data, "", stamp, written)


def _run(folder: Path, read: _Content, progress: _Content, now: float) -> RunRow:
    card, beat, age_s = read.data, progress.data, read.age_s(now)
    status = _text(card, "status") or UNREADABLE
    if status == RUNNING:
        last = _number(beat, "updated")
        silent_s = age_s if math.isnan(last) else min(age_s, now - last)
        status = STALE if silent_s > _STALE_AFTER_S else RUNNING
    alive = status in (RUNNING, STALE)
    step = _number(beat if alive else card, "step" if alive else "steps")
    pace = (
        _number(beat, "steps_per_second")
        if alive
        else step / (_number(card, "seconds") or math.nan)
    )
    steps = step if status == COMPLETE else _number(beat, "steps")
    agent, code = _text(card, "agent"), _text(card, "recipe_hash")
    return RunRow(
        folder=folder,
        status=status,
        # A damaged card still lies in a folder whose names say what it was.
        environment=_text(card, "environment") or folder.parent.parent.name,
        agent=f"{agent}-{code}" if agent and code else folder.parent.name,
        seed=_seed(card, "seed") if card else _folder_seed(folder),
        step=step,
        steps=steps,
        steps_per_second=pace,
        episode_return=_number(beat, "episode_return"),
        left_s=(steps - step) / pace if status == RUNNING and pace > 0 else math.nan,
        age_s=age_s,
        note=read.fault or _text(card, "error"),
    )


def _policy(folder: Path, read: _Content, now: float) -> PolicyRow:
    card, environment = read.data, read.data.get("environment")
    return PolicyRow(
        folder=folder,
        environment=_text(environment, "id") if isinstance(environment, dict) else "",
        agent=UNREADABLE if read.fault else f"{_text(card, 'agent')}-{_text(card, 'recipe_hash')}",
        seed=_seed(card, "training_seed"),
        steps=_number(card, "steps"),
        age_s=read.age_s(now),
    )


def _evaluation(folder: Path, read: _Content, now: float) -> EvaluationRow:
    contestants, failures = read.data.get("contestants"), read.data.get("failures")
    names = [_text(c, "name") for c in contestants] if isinstance(contestants, list) else []
    return EvaluationRow(
        folder=folder,
        status=UNREADABLE if read.fault else COMPLETE,
        environment=_text(read.data, "environment"),
        contestants=tuple(names),
        failures=len(failures) if isinstance(failures, list) else 0,
        age_s=read.age_s(now),
        note=read.fault,
    )


def _unfinished(folder: Path, read: _Content, now: float) -> EvaluationRow:
    names = read.data.get("contestants")
    return EvaluationRow(
        folder=folder,
        status=UNREADABLE if read.fault else UNFINISHED,
        environment=_text(read.data, "environment"),
        contestants=tuple(map(str, names)) if isinstance(names, list) else (),
        failures=0,
        age_s=read.age_s(now),
        note=read.fault or scores_file.unfinished_hint(read.data),
    )


def _text(data: Any, key: str) -> str:
    value = data.get(key) if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else ""


def _number(data: Mapping[str, Any], key: str) -> float:
    value = data.get(key)
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan


def _seed(data: Mapping[str, Any], key: str) -> int | None:
    value = data.get(key)
    return value if isinstance(value, int) and value >= 0 else None


def _folder_seed(folder: Path) -> int | None:
    digits = folder.name.removeprefix("seed_")
    return int(digits) if digits.isascii() and digits.isdigit() else None

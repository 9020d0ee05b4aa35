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

from rl_lab import paths

RUNNING, STALE, UNREADABLE = "running", "stale", "unreadable"
_STALE_AFTER_S = 60.0


@dataclasses.dataclass(frozen=True)
class RunRow:
    """One run.

    Attributes:
        folder: Where it is.
        status: As in `run.json`; `stale` where it says running but has given no sign of life for
            a minute; `unreadable` where it cannot be understood.
        environment: The Gymnasium id.
        agent: The agent and its recipe's hash.
        seed: The training seed; None where it is not known.
        step: Environment steps done.
        steps: The budget.
        steps_per_second: While learning.
        episode_return: Recent mean of training episodes.
        left_s: Seconds to go, for a run that is running.
        age_s: Seconds since `run.json` was written.
        note: What went wrong.
    """

    folder: Path
    status: str
    environment: str
    agent: str
    seed: int | None
    step: float
    steps: float
    steps_per_second: float
    episode_return: float
    left_s: float
    age_s: float
    note: str


@dataclasses.dataclass(frozen=True)
class PolicyRow:
    """One frozen policy that is not part of a run."""

    folder: Path
    environment: str
    agent: str
    seed: int | None
    steps: float
    age_s: float


@dataclasses.dataclass(frozen=True)
class EvaluationRow:
    """One evaluation; its contestants are in the order of its leaderboard."""

    folder: Path
    environment: str
    contestants: tuple[str, ...]
    failures: int
    age_s: float


Rows = tuple[list[RunRow], list[PolicyRow], list[EvaluationRow]]


def rows(folder: Path) -> Rows:
    """All runs, frozen policies outside runs, and evaluations below a folder, in order of path."""
    now = time.time()
    found: Rows = ([], [], [])
    for path, folders, files in os.walk(folder):
        place = Path(path)
        if paths.RUN_CARD in files:
            found[0].append(_run(place, now))
        elif paths.POLICY_CARD in files:
            found[1].append(_policy(place, now))
        elif paths.SCORES in files:
            found[2].append(_evaluation(place, now))
        elif paths.ADAPTATION in files:
            pass  # its snapshots are steps of one training, not policies to choose from
        else:
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            continue
        folders.clear()
    return found


def _run(folder: Path, now: float) -> RunRow:
    card, fault = _read(folder / paths.RUN_CARD)
    beat, _ = _read(folder / paths.PROGRESS)
    status = _text(card, "status") or UNREADABLE
    age_s = _age(folder / paths.RUN_CARD, now)
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
    steps = step if status == "complete" else _number(beat, "steps")
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
        note=fault or _text(card, "error"),
    )


def _policy(folder: Path, now: float) -> PolicyRow:
    card, fault = _read(folder / paths.POLICY_CARD)
    environment = card.get("environment")
    return PolicyRow(
        folder=folder,
        environment=_text(environment, "id") if isinstance(environment, dict) else "",
        agent=UNREADABLE if fault else f"{_text(card, 'agent')}-{_text(card, 'recipe_hash')}",
        seed=_seed(card, "training_seed"),
        steps=_number(card, "steps"),
        age_s=_age(folder / paths.POLICY_CARD, now),
    )


def _evaluation(folder: Path, now: float) -> EvaluationRow:
    scores, fault = _read(folder / paths.SCORES)
    contestants, failures = scores.get("contestants"), scores.get("failures")
    names = [_text(c, "name") for c in contestants] if isinstance(contestants, list) else []
    return EvaluationRow(
        folder=folder,
        environment=_text(scores, "environment"),
        contestants=(UNREADABLE,) if fault else tuple(names),
        failures=len(failures) if isinstance(failures, list) else 0,
        age_s=_age(folder / paths.SCORES, now),
    )


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """A JSON object and "", or {} and what is wrong with the file."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"{path.name}: {type(error).__name__}"
    return (data, "") if isinstance(data, dict) else ({}, f"{path.name}: not an object")


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


def _age(path: Path, now: float) -> float:
    try:
        return max(0.0, now - path.stat().st_mtime)
    except OSError:
        return math.nan

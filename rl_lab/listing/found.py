"""What is found in folders: rows of runs, frozen policies and evaluations."""

from __future__ import annotations

import dataclasses
from pathlib import Path

RUNNING, STALE, UNREADABLE = "running", "stale", "unreadable"
COMPLETE, UNFINISHED = "complete", "unfinished"


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
    """One evaluation.

    Attributes:
        folder: Where it is.
        status: `complete`; `unfinished` where it has a plan and no scores yet; `unreadable`.
        environment: The Gymnasium id.
        contestants: In the order of its leaderboard.
        failures: How many policies failed.
        age_s: Seconds since its scores, or its plan, were written.
        note: How to go on with it, or what is wrong with its file.
    """

    folder: Path
    status: str
    environment: str
    contestants: tuple[str, ...]
    failures: int
    age_s: float
    note: str


Rows = tuple[list[RunRow], list[PolicyRow], list[EvaluationRow]]

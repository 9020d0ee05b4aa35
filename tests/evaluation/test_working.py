"""What one contestant does to its environment is not felt by the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes import always, countdown_return, saved

from rl_lab.evaluation.plan import Failure, Task
from rl_lab.evaluation.workers import run_tasks
from rl_lab.evaluation.working import Engine, live
from rl_lab.records import EpisodeRecord
from rl_lab.shifts import NOMINAL

SEEDS = (101, 102, 103)
# As where the environments were proven to be reusable after whole episodes.
ENGINE = Engine(reuse=True, step_limit=50, step_timeout_s=10.0, imports=("fakes",), live=live)


def run(*tasks: Task) -> tuple[list[EpisodeRecord], list[Failure]]:
    records: list[EpisodeRecord] = []
    failures = run_tasks(tasks, ENGINE, 1, records.append)
    return records, failures


def task(folder: Path, name: str, action: int, **kwargs: Any) -> Task:
    if not folder.exists():
        saved(always(action, "FakeGrudge-v0", kwargs=kwargs), folder)
    return Task(name, 0, folder, NOMINAL, SEEDS)


@pytest.mark.parametrize("closes", [True, False])
def test_an_environment_that_broke_is_not_handed_on(tmp_path: Path, closes: bool) -> None:
    broken = task(tmp_path / "broken", "broken", 0, closes=closes)
    good = task(tmp_path / "good", "good", 1, closes=closes)
    alone, none = run(good)
    assert none == []
    assert [r.episode_return for r in alone] == [countdown_return(seed) for seed in SEEDS]
    after, failures = run(broken, good)
    assert after == alone
    (failure,) = failures
    assert (failure.contestant, "the motor is on fire" in failure.message) == ("broken", True)


def test_an_environment_that_cannot_be_closed_costs_nobody(tmp_path: Path) -> None:
    stuck = task(tmp_path / "stuck", "stuck", 1, closes=False)
    open_one = task(tmp_path / "open", "open", 1, closes=True)
    # Another environment each time, so that the one before is closed.
    records, failures = run(stuck, open_one, stuck, open_one)
    assert failures == []
    returns = [countdown_return(seed) for seed in SEEDS]
    assert [r.episode_return for r in records] == returns * 4

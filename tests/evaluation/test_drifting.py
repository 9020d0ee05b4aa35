"""Drift lived in worker processes: pairing, what counts as after the change, the monitor's view."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from fakes import always, linear_policy, saved

from rl_lab import drift_records, paths, seeding, shifts
from rl_lab.drift import gathering, storing
from rl_lab.drift.reference import Reference, Settings
from rl_lab.drift_records import DriftRecord
from rl_lab.evaluation import drifting, runner
from rl_lab.evaluation.plan import Entrant, Failure
from rl_lab.shifts import Schedule

HERE = runner.Settings(workers=1, step_limit=50, step_timeout_s=20.0, imports=("fakes",))


def shift(environment: str, parameter: str, nominal: float, far: float) -> shifts.Shift:
    return shifts.from_data(
        {
            "name": "tried",
            "environment": environment,
            "parameter": parameter,
            "unit": "",
            "path": "additive",
            "nominal": nominal,
            "near": far,
            "far": far,
            "bounds": [None, None],
            "acts": {"before_reset": [{"set": parameter}]},
            "source": "made up",
        }
    )


def lived(
    entrants: list[Entrant],
    moving: list[tuple[shifts.Context, list[int]]],
    seeds: list[int],
    folder: Path,
    counts: list[tuple[int, int]] | None = None,
) -> tuple[list[DriftRecord], list[Failure]]:
    """As an evaluation does it; `counts` takes what it is told of episodes done."""
    work = drifting.tasks(entrants, moving, seeds)
    schedule = moving[0][0].schedule
    assert schedule is not None
    start = schedule.start if schedule.clock == "steps" else 0
    engine = drifting.engine(work, entrants, folder, HERE, start)
    told: list[tuple[int, int]] = [] if counts is None else counts
    return drifting.measure(
        work, engine, folder, 1, start, lambda done, all_: told.append((done, all_))
    )


def test_rewards_after_the_change_by_hand(tmp_path: Path) -> None:
    """Countdown pays step times scale; from step index 2 on the scale is 3 instead of 1."""
    policy = always(1)
    entrant = Entrant("one", 0, saved(policy, tmp_path / "p"), policy.card, None)
    schedule = Schedule("step", "steps", 2, 0)
    context = shifts.shifted(shift("FakeCountdown-v0", "scale", 1.0, 3.0), 1.0, schedule)
    seeds = [100, 101]  # 3 and 4 steps
    folder = tmp_path / "e"
    folder.mkdir()
    found, failures = lived([entrant], [(context, seeds)], seeds, folder)
    assert not failures
    table = {(r.drift, r.evaluation_seed): r for r in found}
    assert table[False, 100].episode_return == 1 + 2 + 3
    assert table[True, 100].episode_return == 1 + 2 + 9
    assert (table[False, 101].return_after, table[True, 101].return_after) == (7, 21)
    assert table[True, 101].no_monitor.startswith(str(entrant.folder))
    rows = (folder / paths.DRIFT).read_text().splitlines()
    assert len(rows) == 5
    assert rows[1].startswith("1,one,0,none,0.0,none,100,3,1,0,6.0,3.0,")
    assert rows[3].startswith("1,one,0,tried,1.0,step at 2 steps,100,3,1,0,12.0,9.0,")


@pytest.mark.parametrize("delta", [0.5, 1.0])
def test_the_monitor_notices_a_push_that_changes(delta: float, tmp_path: Path) -> None:
    policy = linear_policy("CartPole-v1", [[0, 0, -1, -1], [0, 0, 1, 1]], [0.0, 0.0])
    settings = Settings(8, 19, 0.05, 0.5, 1000)
    seeds = seeding.reference_seeds(0, settings.episodes)
    made = gathering.gather(policy, lambda: gymnasium.make("CartPole-v1"), seeds, settings)
    assert isinstance(made, Reference)
    place = saved(policy, tmp_path / "p")
    storing.save(made, place)
    entrant = Entrant("one", 0, place, policy.card, None)
    moved = shift("CartPole-v1", "force_mag", 10.0, 13.0)
    context = shifts.shifted(moved, delta, Schedule("step", "steps", 20, 0))
    folder = tmp_path / "e"
    folder.mkdir()
    seeds = [1, 2, 3, 4]
    found, _ = lived([entrant], [(context, seeds)], seeds, folder)
    moving = [r for r in found if r.drift and r.length > 22]
    assert moving
    alarms = [r.alarm_step for r in moving if r.alarm_step is not None]
    # The first transition of another world is known from the 22nd observation on.
    assert alarms
    assert min(alarms) >= 22
    assert all(np.isfinite(r.samples).all() for r in moving if r.samples is not None)
    other = tmp_path / "again"
    other.mkdir()
    again, _ = lived([entrant], [(context, seeds)], seeds, other)
    assert (other / paths.DRIFT).read_bytes() == (folder / paths.DRIFT).read_bytes()
    assert [r.return_after for r in again] == [r.return_after for r in found]


def test_an_interrupted_row_goes_on_where_it_was(tmp_path: Path) -> None:
    """Two shifts and the training context: 3 worlds of 2 episodes; one of the six is lost."""
    policy = always(1)
    entrant = Entrant("one", 0, saved(policy, tmp_path / "p"), policy.card, None)
    schedule = Schedule("step", "steps", 2, 0)
    one = shift("FakeCountdown-v0", "scale", 1.0, 3.0)
    two = dataclasses.replace(one, name="other", far=5.0, near=5.0)
    seeds = [100, 101]
    moving = [(shifts.shifted(s, 1.0, schedule), seeds) for s in (one, two)]
    folder = tmp_path / "e"
    folder.mkdir()
    counts: list[tuple[int, int]] = []
    whole, _ = lived([entrant], moving, seeds, folder, counts)
    assert counts[-1] == (6, 6)  # the training context once, whatever the number of shifts
    journal = drifting.journal(folder, [], 2).path
    table = (folder / paths.DRIFT).read_bytes()
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) == len(set(lines)) == 6
    # What stands in the journal is taken from there; what was cut off is lived again.
    journal.write_text("".join(lines[:5]) + lines[5][:50])
    counts.clear()
    again, _ = lived([entrant], moving, seeds, folder, counts)
    assert counts == [(6, 6), (6, 6)]
    assert (folder / paths.DRIFT).read_bytes() == table
    assert list(map(drift_records.to_line, again)) == list(map(drift_records.to_line, whole))
    counts.clear()
    lived([entrant], moving[:1], seeds, folder, counts)
    assert counts == [(4, 4)]  # all known; those of the other shift are no part of it

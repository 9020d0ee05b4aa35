"""Drift lived in worker processes: pairing, what counts as after the change, the monitor's view."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from fakes import always, linear_policy, saved

from rl_lab import paths, seeding, shifts
from rl_lab.drift import gathering, storing
from rl_lab.drift.reference import Reference, Settings
from rl_lab.evaluation import drifting, runner
from rl_lab.evaluation.plan import Entrant
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


def test_rewards_after_the_change_by_hand(tmp_path: Path) -> None:
    """Countdown pays step times scale; from step index 2 on the scale is 3 instead of 1."""
    policy = always(1)
    entrant = Entrant("one", 0, saved(policy, tmp_path / "p"), policy.card, None)
    schedule = Schedule("step", "steps", 2, 0)
    context = shifts.shifted(shift("FakeCountdown-v0", "scale", 1.0, 3.0), 1.0, schedule)
    seeds = [100, 101]  # 3 and 4 steps
    folder = tmp_path / "e"
    folder.mkdir()
    found, failures = drifting.measure([entrant], context, seeds, folder, HERE)
    assert not failures
    table = {(r.drift, r.evaluation_seed): r for r in found}
    assert table[False, 100].episode_return == 1 + 2 + 3
    assert table[True, 100].episode_return == 1 + 2 + 9
    assert (table[False, 101].return_after, table[True, 101].return_after) == (7, 21)
    assert table[True, 101].no_monitor.startswith(str(entrant.folder))
    rows = (folder / paths.DRIFT).read_text().splitlines()
    assert len(rows) == 5
    assert rows[1].startswith("one,0,0,100,3,1,0,6.0,3.0,")


@pytest.mark.parametrize("delta", [0.5, 1.0])
def test_the_monitor_notices_a_push_that_changes(delta: float, tmp_path: Path) -> None:
    policy = linear_policy("CartPole-v1", [[0, 0, -1, -1], [0, 0, 1, 1]], [0.0, 0.0])
    settings = Settings(8, 19, 0.05, 0.5)
    seeds = seeding.reference_seeds(0, settings.episodes)
    made = gathering.gather(policy, lambda: gymnasium.make("CartPole-v1"), seeds, settings, 1000)
    assert isinstance(made, Reference)
    place = saved(policy, tmp_path / "p")
    storing.save(made, place)
    entrant = Entrant("one", 0, place, policy.card, None)
    moved = shift("CartPole-v1", "force_mag", 10.0, 13.0)
    context = shifts.shifted(moved, delta, Schedule("step", "steps", 20, 0))
    folder = tmp_path / "e"
    folder.mkdir()
    found, _ = drifting.measure([entrant], context, [1, 2, 3, 4], folder, HERE)
    moving = [r for r in found if r.drift and r.length > 22]
    assert moving
    alarms = [r.alarm_step for r in moving if r.alarm_step is not None]
    # The first transition of another world is known from the 22nd observation on.
    assert alarms
    assert min(alarms) >= 22
    assert all(np.isfinite(r.samples).all() for r in moving if r.samples is not None)
    again, _ = drifting.measure([entrant], context, [1, 2, 3, 4], folder, HERE)
    assert [r.return_after for r in again] == [r.return_after for r in found]

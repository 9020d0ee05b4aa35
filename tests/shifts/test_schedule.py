from __future__ import annotations

import math

import numpy as np
import pytest

from rl_lab import seeding
from rl_lab.shifts import Schedule


def shares(kind: str, start: int, span: int, ticks: int) -> list[float]:
    return Schedule(kind, "steps", start, span).shares(ticks, seeding.generator(0, "t"))


def test_the_kinds_by_hand() -> None:
    assert shares("step", 2, 0, 4) == [0.0, 0.0, 1.0, 1.0]
    assert shares("ramp", 1, 4, 7) == [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert shares("cycle", 1, 4, 6) == pytest.approx([0.0, 0.0, 0.5, 1.0, 0.5, 0.0])


def test_a_walk_stays_within_the_walls_and_has_the_declared_speed() -> None:
    walk = np.array(shares("random_walk", 3, 400, 20_000))
    assert list(walk[:4]) == [0.0] * 4
    assert walk.min() >= 0.0
    assert walk.max() <= 1.0
    assert walk.max() > 0.95, "it gets everywhere"
    away = (walk[4:-1] > 0.2) & (walk[4:-1] < 0.8)
    assert np.diff(walk[4:])[away].std() == pytest.approx(400**-0.5, rel=0.03)


def test_a_walk_repeats_with_its_draws_and_not_without() -> None:
    walk = Schedule("random_walk", "steps", 0, 50)
    one, two, other = (walk.shares(50, seeding.generator(seed, "t")) for seed in (1, 1, 2))
    assert one == two != other


@pytest.mark.parametrize("kind", ["step", "ramp", "cycle"])
def test_only_a_walk_draws(kind: str) -> None:
    draws = np.random.default_rng(5)
    Schedule(kind, "steps", 0, 10).shares(20, draws)
    assert draws.random() == np.random.default_rng(5).random()


def test_its_name_says_everything() -> None:
    assert str(Schedule("step", "steps", 50, 0)) == "step at 50 steps"
    assert str(Schedule("ramp", "episodes", 5, 20)) == "ramp at 5 over 20 episodes"
    assert math.isclose(Schedule("cycle", "steps", 0, 8).share(2, 0.0), 0.5)

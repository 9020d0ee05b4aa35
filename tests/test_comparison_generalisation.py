"""The generalisation gap, worked out by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from rl_lab import comparison
from rl_lab.comparison import Contestant, Learning, Protocol
from rl_lab.comparison.scoring import NOMINAL, World
from rl_lab.environments import Anchors
from rl_lab.records import EpisodeRecord

ANCHORS = Anchors(random=0.0, solved=100.0, ceiling=None, control_period_s=None)
NEAR: tuple[World, ...] = (("wind", 0.25, "none"), ("wind", 0.5, "none"))
FAR: tuple[World, ...] = (("wind", 0.75, "none"), ("wind", 1.0, "none"))
PROTOCOL = Protocol(
    episodes=2,
    seed=0,
    evaluation_seeds=(7, 8),
    shifts=(),
    deltas=(),
    shift_episodes=0,
    grid=None,
    schedule=None,
    context_sets={
        "near": tuple(zip(NEAR, (7, 8), strict=True)),
        "far": tuple(zip(FAR, (7, 8), strict=True)),
    },
    step_limit=100,
)
HOME = Learning(None, {"near": False, "far": False}, {}, {0: 95.0, 1: 60.0}, "", "no finite set")


def episode(seed: int, world: World, faced: int, value: float) -> EpisodeRecord:
    return EpisodeRecord("a", seed, "E-v0", *world, faced, value, 10, True, False)


# Returns on evaluation seeds 7 and 8: at home, near, far.
RETURNS = {0: ((100.0, 80.0), (90.0, 60.0), (50.0, 10.0)), 1: ((70.0, 50.0), (70.0, 40.0), (0, 0))}


def records() -> list[EpisodeRecord]:
    return [
        episode(seed, world, faced, value)
        for seed, sides in RETURNS.items()
        for worlds, values in zip(((NOMINAL, NOMINAL), NEAR, FAR), sides, strict=True)
        for world, faced, value in zip(worlds, (7, 8), values, strict=True)
    ]


def block(found: list[EpisodeRecord], learning: Learning = HOME) -> dict[str, Any]:
    who = Contestant("a", "a", "A", "0123abcd", (0, 1), None, learning)
    (scored,) = comparison.compare(found, [who], "E-v0", ANCHORS, PROTOCOL)["contestants"]
    made: dict[str, Any] = scored["generalisation"]
    return made


def test_gaps_by_hand() -> None:
    found = block(records())
    assert found["scores"]["nominal"]["estimate"] == pytest.approx((0.9 + 0.6) / 2)
    assert found["scores"]["near"]["estimate"] == pytest.approx((0.75 + 0.55) / 2)
    assert found["scores"]["far"]["estimate"] == pytest.approx((0.3 + 0.0) / 2)
    # Seed 0 loses 0.1 and 0.2 near; seed 1 loses 0 and 0.1.
    near = found["gap_near"]
    assert near["estimate"] == pytest.approx((0.15 + 0.05) / 2)
    # t of one degree of freedom: 12.706 times the standard error 0.05
    assert near["high"] == pytest.approx(0.1 + 12.7062 * 0.05, abs=1e-4)
    assert found["gap_far"]["estimate"] == pytest.approx((0.6 + 0.6) / 2)
    assert found["gap_far"]["low"] == pytest.approx(0.6)
    assert found["gap_extrapolation"] == found["gap_far"]
    assert (found["gap_interpolation"], found["gap_seeds"]) == (None, None)
    assert found["gap_seeds_reason"] == "no finite set"


def test_training_less_evaluation_by_hand() -> None:
    """In returns: 95 - 90 and 60 - 60."""
    gap = block(records())["gap_train_eval"]
    assert gap["estimate"] == pytest.approx(2.5)
    assert gap["low"] == pytest.approx(2.5 - 12.7062 * 2.5, abs=1e-3)


def test_one_seed_has_its_gap_over_the_evaluation_seeds() -> None:
    gap = block([r for r in records() if r.training_seed == 0])["gap_train_eval"]
    assert gap["estimate"] == pytest.approx(5.0)
    assert (gap["low"], gap["high"]) == (pytest.approx(-5.0), pytest.approx(15.0))
    assert gap["method"] == "95% bootstrap over 2 episodes"


def test_where_it_was_trained_on_drawn_contexts_those_are_home() -> None:
    """Trained on the near set's own contexts: nothing is lost there, and far counts from there."""
    met = dict(zip((0, 1), [tuple(zip(NEAR, (7, 8), strict=True))] * 2, strict=True))
    drawn = dataclasses.replace(
        HOME,
        trained_on={"range": "near", "shifts": ["wind"]},
        inside={"near": True, "far": False},
        contexts=met,
    )
    found = block(records(), drawn)
    assert found["scores"]["train"] == found["scores"]["near"]
    assert found["gap_interpolation"]["estimate"] == 0.0
    assert found["gap_extrapolation"]["estimate"] == pytest.approx((0.45 + 0.55) / 2)
    assert found["gap_train_eval"] is None
    assert "drawn contexts" in found["gap_train_eval_reason"]

"""Continued learning on hand-worked curves, and every edge case by name."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from rl_lab.statistics import adaptation
from rl_lab.statistics.adaptation import Curves, Measured, Recovery
from rl_lab.statistics.scale import Scale, scale_of


def curves(
    shifted: Sequence[float],
    original: Sequence[float] | None = None,
    scratch: Sequence[float] | None = None,
    error: float = 0.0,
) -> Curves:
    """Curves over steps 0, 100, 200, ...; the original world's score is 1 unless said."""
    steps = [100.0 * i for i in range(len(shifted))]
    return Curves(steps, shifted, original or [1.0] * len(shifted), scratch, error)


# Falls from 1 to 0.2, dips to 0.1, comes back to 1: 90 % of the drop is regained from 0.92 on.
HAND = curves(
    shifted=[0.2, 0.1, 0.6, 0.93, 0.95, 1.0],
    original=[1.0, 0.9, 0.8, 0.7, 0.7, 0.7],
    scratch=[0.0, 0.0, 0.1, 0.2, 0.4, 0.6],
)


def test_a_curve_worked_out_by_hand() -> None:
    assert adaptation.drop(HAND) == pytest.approx(0.8)
    assert adaptation.jumpstart(HAND).value == pytest.approx(0.2)
    assert adaptation.recovery_ratio(HAND).value == pytest.approx(1.0)
    assert adaptation.steps_to_recover(HAND) == Recovery(300.0, True)
    # trapezoids of (0, -0.1, 0.4, 0.73, 0.75, 0.8): (0/2 - 0.1 + 0.4 + 0.73 + 0.75 + 0.8/2) / 5
    assert adaptation.adaptation_gain(HAND) == pytest.approx(2.18 / 5)
    assert adaptation.dip(HAND) == pytest.approx(0.1)
    assert adaptation.forgetting(HAND) == pytest.approx(0.3)
    # A = 0.2 + 2.18 / 5 = 0.636; A_scr = (0 + 0 + 0.1 + 0.2 + 0.4 + 0.3) / 5 = 0.2
    assert adaptation.forward_transfer(HAND).value == pytest.approx(0.436 / 0.8)


def test_uneven_steps_weigh_by_their_length() -> None:
    uneven = Curves([0.0, 100.0, 400.0], [0.0, 1.0, 1.0], [1.0] * 3, None, 0.0)
    assert adaptation.adaptation_gain(uneven) == pytest.approx((50 + 300) / 400)


def test_negative_returns_change_nothing() -> None:
    """Formulas are affine: Pendulum's returns give what the same scores give."""
    scale = scale_of(-1245.4, -200.0, best=-150.0)
    assert isinstance(scale, Scale)
    returns = np.array([-1036.32, -1140.86, -618.16])  # scores 0.2, 0.1, 0.6
    scores = scale.score(returns)
    assert scores == pytest.approx([0.2, 0.1, 0.6])
    other = curves(list(scores))
    assert adaptation.recovery_ratio(other).value == pytest.approx(0.5)


def test_no_drop() -> None:
    flat = curves([0.97, 0.98, 0.99, 1.0])
    assert adaptation.recovery_ratio(flat).value is None
    assert adaptation.recovery_ratio(flat).reason.startswith("no drop: the shift is too mild")
    assert adaptation.steps_to_recover(flat).steps is None
    assert adaptation.adaptation_gain(flat) == pytest.approx(0.015)


def test_no_drop_within_the_noise() -> None:
    noisy = curves([0.8, 0.9, 1.0], error=0.11)
    assert adaptation.recovery_ratio(noisy) == Measured(None, "no drop")
    assert adaptation.recovery_ratio(curves([0.8, 0.9, 1.0], error=0.09)).value == pytest.approx(1)


def test_a_drop_below_0() -> None:
    """The shift made it easier: no ratio, the drop itself is the improvement."""
    easier = curves([0.9, 0.9, 0.9], original=[0.5, 0.5, 0.5])
    assert adaptation.drop(easier) == pytest.approx(-0.4)
    assert adaptation.recovery_ratio(easier) == Measured(None, "no drop: the shift made it easier")
    assert adaptation.steps_to_recover(easier).reason == "no drop: the shift made it easier"


@pytest.mark.parametrize("solved", [None, 0.0, -5.0])
def test_no_threshold_above_random_play(solved: float | None) -> None:
    scale = scale_of(0.0, solved, best=40.0)
    assert isinstance(scale, Scale)
    assert scale.score(np.array([20.0]))[0] == 0.5
    assert scale.label == "relative to best agent in this comparison"


def test_no_scale_at_all() -> None:
    assert scale_of(None, 1.0, best=2.0) == "the return of random play is not known"
    assert "no agent better than random" in str(scale_of(0.0, None, best=-1.0))


def test_saturated_scores_are_clipped_in_areas_only() -> None:
    above = curves([1.05, 1.05], scratch=[0.5, 0.5])
    assert adaptation.forward_transfer(above).value == pytest.approx(1.0)
    assert adaptation.jumpstart(above).value == pytest.approx(0.55)


def test_threshold_never_reached() -> None:
    slow = curves([0.2, 0.3, 0.4, 0.93, 0.93])  # two evaluations above, not three
    assert adaptation.steps_to_recover(slow) == Recovery(400.0, False)
    summary = adaptation.summarize([slow_ := adaptation.steps_to_recover(slow), slow_])
    assert summary.median == Measured(None, "> budget: 0 of 2 training seeds recovered")
    assert summary.restricted_mean == Measured(400.0, "at least: 0 of 2 training seeds recovered")


def test_an_interrupted_recovery_does_not_count() -> None:
    shaky = curves([0.2, 0.95, 0.95, 0.5, 0.95, 0.95, 0.95])
    assert adaptation.steps_to_recover(shaky) == Recovery(400.0, True)


def test_the_median_counts_who_did_not_recover_as_later() -> None:
    reached = [Recovery(100.0, True), Recovery(300.0, True)]
    late = Recovery(1000.0, False)
    summary = adaptation.summarize([*reached, late])
    assert summary.median == Measured(300.0)
    assert summary.restricted_mean.value == pytest.approx(1400 / 3)
    assert (summary.reached, summary.seeds) == (2, 3)
    assert adaptation.summarize([*reached, late, late]).median.value is None
    whole = adaptation.summarize(reached)
    assert (whole.median, whole.restricted_mean) == (Measured(200.0), Measured(200.0))


def test_seeds_without_a_drop_are_left_out_of_the_summary() -> None:
    none = Recovery(None, False, "no drop")
    summary = adaptation.summarize([none, Recovery(100.0, True)])
    assert (summary.seeds, summary.median.value) == (1, 100.0)
    assert adaptation.summarize([none]).median == Measured(None, "no drop")


def test_from_scratch_near_perfect_gives_a_difference() -> None:
    easy = curves([0.5, 0.5], scratch=[0.98, 0.98])
    assert adaptation.forward_transfer(easy) == Measured(None, adaptation.NO_ROOM)
    assert adaptation.area_difference(easy).value == pytest.approx(-0.48)
    assert not adaptation.has_room(easy)
    assert adaptation.has_room(curves([0.5, 0.5]))


def test_no_scratch() -> None:
    alone = curves([0.5, 0.5])
    assert adaptation.forward_transfer(alone) == Measured(None, adaptation.NO_SCRATCH)
    assert adaptation.jumpstart(alone) == Measured(None, adaptation.NO_SCRATCH)


def test_nominal_not_learned() -> None:
    bad = curves([0.0, 0.5, 0.5], original=[0.09, 0.1, 0.1])
    assert not adaptation.nominal_learned(bad)
    assert adaptation.recovery_ratio(bad) == Measured(None, "nominal not learned")
    assert adaptation.steps_to_recover(bad).reason == "nominal not learned"
    assert adaptation.adaptation_gain(bad) == pytest.approx(0.375)


def test_made_worse_is_below_0() -> None:
    worse = curves([0.5, 0.4, 0.25])
    assert adaptation.recovery_ratio(worse).value == pytest.approx(-0.5)
    assert adaptation.dip(worse) == pytest.approx(0.25)
    assert adaptation.dip(curves([0.5, 0.6])) == 0.0


def test_backward_transfer_is_negative_forgetting() -> None:
    assert adaptation.forgetting(curves([0.5, 0.6], original=[0.8, 0.9])) == pytest.approx(-0.1)


def test_nothing_is_ever_nan() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        shifted, original, scratch = generator.choice([-1.0, 0.0, 0.5, 0.97, 1.0], (3, 4))
        c = curves(list(shifted), list(original), list(scratch), float(generator.random()))
        for measured in (
            adaptation.recovery_ratio(c),
            adaptation.forward_transfer(c),
            adaptation.jumpstart(c),
        ):
            assert (measured.value is None) == bool(measured.reason) or "difference" in (
                measured.reason
            )
            assert measured.value is None or math.isfinite(measured.value)


def test_curves_without_a_first_point_are_refused() -> None:
    with pytest.raises(ValueError, match="step 0"):
        Curves([10.0, 20.0], [0.0, 1.0], [1.0, 1.0], None, 0.0)
    with pytest.raises(ValueError, match="share"):
        Curves([0.0, 20.0], [0.0], [1.0, 1.0], None, 0.0)

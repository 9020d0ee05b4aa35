import math

import numpy as np
import pytest
import scipy.stats

from rl_lab.statistics import measures


def test_prob_improvement_is_mann_whitneys_u():
    g = np.random.default_rng(0)
    a, b = g.integers(0, 5, 7).astype(float), g.integers(0, 5, 9).astype(float)
    expected = scipy.stats.mannwhitneyu(a, b).statistic / 63
    assert measures.prob_improvement(a, b) == pytest.approx(expected)
    assert measures.prob_improvement(b, a) == pytest.approx(1 - expected)


def test_prob_improvement_by_hand():
    # 3 > 1, 3 = 3, 2 > 1, 2 < 3
    assert measures.prob_improvement([3.0, 2.0], [1.0, 3.0]) == 2.5 / 4


def test_win_rate_by_hand():
    assert measures.win_rate([[1.0, 2.0, 3.0, 5.0]], [[0.0, 2.0, 4.0, 4.0]]) == 2.5 / 4
    # a second policy of A that always loses halves it
    assert measures.win_rate([[1.0, 2.0, 3.0, 5.0], [-9.0] * 4], [[0.0, 2.0, 4.0, 4.0]]) == 2.5 / 8


def test_iqm_by_hand():
    assert measures.iqm([[0.0, 1.0, 2.0, 100.0]]).tolist() == [1.5]
    assert measures.iqm([1.0, 2.0, 6.0]) == 3.0  # three values: nothing is trimmed


def test_optimality_gap_by_hand():
    assert measures.optimality_gap([0.5, 2.0]) == 0.25
    assert measures.optimality_gap([1.5, 2.0]) == 0.0


def test_cvar_by_hand():
    assert measures.cvar(np.arange(100.0), 0.1) == 4.5
    assert measures.cvar(np.full(50, 0.1), 0.1) == pytest.approx(0.1)


def test_dispersion_by_hand():
    assert measures.dispersion([1.0, 2.0, 3.0, 4.0]) == 1.5
    assert measures.dispersion([1.0, 3.0]) == pytest.approx(math.sqrt(2))
    assert math.isnan(measures.dispersion([1.0]))


def test_profile_by_hand():
    shares = measures.profile([[0.0, 0.5], [1.0, 1.0]], [-1.0, 0.0, 0.75, 1.0])
    assert shares.tolist() == [1.0, 0.75, 0.5, 0.0]


def test_area_by_hand():
    # clipped to 1, 1, 0: a unit square and a triangle, each on half the axis
    assert measures.area_under([0.0, 0.5, 1.0], [1.3, 1.0, -2.0]) == pytest.approx(0.75)
    assert measures.area_under([0.0, 0.2, 1.0], [[1.0] * 3, [0.0] * 3]).tolist() == [1.0, 0.0]


def test_area_needs_the_whole_range():
    assert math.isnan(measures.area_under([0.0, 0.5], [1.0, 1.0]))
    assert np.isnan(measures.area_under([0.5, 1.0], np.ones((3, 2)))).all()


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0, 0.9, 0.7, 0.9], (0.25, "0.25")),  # a later recovery does not count
        ([1.0, 0.9, 0.8, 0.8], (1.0, ">1.0")),
        ([1.0, 0.0, 0.0, 0.0], (0.0, "0.0")),
        ([0.05, 0.5, 0.5, 0.5], (None, "undefined: nominal not learned")),
        ([-1.0, -1.0, -1.0, -1.0], (None, "undefined: nominal not learned")),
    ],
)
def test_critical_shift(scores, expected):
    assert measures.critical_shift([0.0, 0.25, 0.5, 1.0], scores) == expected


def test_the_worst_share_keeps_the_leading_axes():
    x = np.random.default_rng(0).normal(size=(3, 4, 50))
    expected = [[np.sort(row)[:5].mean() for row in rows] for rows in x]
    assert measures.cvar(x, 0.1) == pytest.approx(np.array(expected))

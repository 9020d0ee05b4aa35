from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from rl_lab.statistics import measures, shares
from rl_lab.statistics.suite import suite


def generator(seed=0):
    return np.random.default_rng(seed)


def ends(interval):
    return interval.low, interval.high


def test_the_tail_of_few_seeds_is_a_t_interval_of_their_tails():
    x = generator().normal(size=(4, 60))
    tails = [measures.cvar(row, 0.1) for row in x]
    expected = scipy.stats.ttest_1samp(tails, 0.0).confidence_interval()
    interval = shares.cvar_interval(x, 0.1, generator())
    assert interval.estimate == pytest.approx(np.mean(tails))
    assert ends(interval) == pytest.approx(tuple(expected))
    assert interval.method == "95% t over 4 training seeds"


def test_the_tail_of_many_seeds_matches_a_plain_loop():
    x = np.round(generator(1).normal(size=(10, 50)), 1)  # with equal values at the limit
    g, draws = generator(2), []
    for _ in range(1500):
        rows, columns = g.integers(10, size=10), g.integers(50, size=50)
        draws.append(np.mean([measures.cvar(row, 0.1) for row in x[rows][:, columns]]))
    interval = shares.cvar_interval(x, 0.1, generator(3))
    assert interval.estimate == pytest.approx(np.mean([measures.cvar(row, 0.1) for row in x]))
    assert ends(interval) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.06)
    assert "crossed bootstrap, 10 training seeds" in interval.method


def test_the_tail_of_one_checkpoint_is_over_its_episodes():
    interval = shares.cvar_interval(generator().normal(size=(1, 60)), 0.1, generator())
    assert interval.method == "95% bootstrap over 60 episodes"
    assert interval.low < interval.estimate < interval.high


def test_improvement_matches_a_plain_loop():
    g = generator(5)
    a, b = g.normal(0.6, 1, (8, 6)), g.normal(0, 1, (6, 6))
    g, draws = generator(6), []
    for _ in range(1500):
        columns = g.integers(6, size=6)
        rows = g.integers(8, size=8), g.integers(6, size=6)
        means = [x[r][:, columns].mean(axis=1) for x, r in zip((a, b), rows, strict=True)]
        draws.append(measures.prob_improvement(*means))
    interval = shares.improvement_interval(a, b, generator(7))
    assert interval.estimate == measures.prob_improvement(a.mean(axis=1), b.mean(axis=1))
    assert ends(interval) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.05)
    assert interval.method == "95% crossed bootstrap, 8 and 6 training seeds"


def test_wins_of_several_seeds_match_a_plain_loop():
    g = generator(8)
    a, b = g.integers(0, 4, (5, 9)), g.integers(0, 3, (5, 9))
    g, draws = generator(9), []
    for _ in range(1500):
        columns = g.integers(9, size=9)
        one, two = (x[g.integers(5, size=5)][:, columns] for x in (a, b))
        draws.append(measures.win_rate(one, two))
    interval = shares.win_interval(a, b, generator(1))
    assert interval.estimate == measures.win_rate(a, b)
    assert ends(interval) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.05)


@pytest.mark.parametrize(("n", "m"), [(4, 9), (1, 9), (2, 2)])
def test_below_five_seeds_there_is_the_value_alone(n, m):
    a, b = np.ones((n, 3)), np.zeros((m, 3))
    for interval in (
        shares.improvement_interval(a, b, generator()),
        shares.win_interval(a, b, generator()),
    ):
        assert interval.estimate == 1.0
        assert math.isnan(interval.low)
        assert interval.method == "fewer than 5 training seeds: no interval"


@pytest.mark.parametrize("wins", [0, 3, 8, 10])
def test_two_checkpoints_have_wilsons_interval(wins):
    a = np.where(np.arange(10) < wins, 1.0, -1.0)[None]
    interval = shares.win_interval(a, np.zeros((1, 10)), generator())
    expected = scipy.stats.binomtest(wins, 10).proportion_ci(0.95, method="wilson")
    assert interval.estimate == wins / 10
    assert ends(interval) == pytest.approx((expected.low, expected.high))
    assert interval.method == "95% Wilson over 10 shared evaluation seeds"


def test_ties_count_half_in_wilsons_interval():
    a = np.array([[1.0, 0.0, 0.0, -1.0]])
    interval = shares.win_interval(a, np.zeros((1, 4)), generator())
    even = scipy.stats.binomtest(2, 4).proportion_ci(0.95, method="wilson")
    assert interval.estimate == 0.5
    assert ends(interval) == pytest.approx((even.low, even.high))


def test_wins_against_an_equal_cover_a_half():
    g, hits = generator(4), 0
    for _ in range(200):
        a, b = (g.normal(0, 1, (6, 1)) + g.normal(0, 1, (6, 8)) for _ in range(2))
        interval = shares.win_interval(a, b, g)
        hits += interval.low <= 0.5 <= interval.high
    assert hits >= 180


def test_the_band_of_a_profile_matches_a_plain_loop():
    g = generator(10)
    data = {name: g.normal(0.7, 0.4, (4, 7)) for name in "ABC"}
    taus = (0.2, 0.7, 1.1)
    g, draws = generator(11), []
    for _ in range(1500):
        parts = []
        for x in data.values():
            rows, columns = g.integers(4, size=4), g.integers(7, size=7)
            parts.append(measures.profile(x[rows][:, columns], taus))
        draws.append(np.mean(parts, axis=0))
    found = suite(data, generator(12), taus, 3000)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    assert found.profile_low == pytest.approx(low, abs=0.04)
    assert found.profile_high == pytest.approx(high, abs=0.04)
    for bottom, middle, top in zip(
        found.profile_low, found.profile, found.profile_high, strict=True
    ):
        assert bottom <= middle <= top


def test_the_band_does_not_move_the_other_intervals():
    data = {name: generator(i).normal(size=(3, 5)) for i, name in enumerate("ABC")}
    one, two = (suite(data, generator(1), taus, 50) for taus in ((0.5,), (0.1, 0.9)))
    assert (one.mean, one.iqm, one.optimality_gap) == (two.mean, two.iqm, two.optimality_gap)

import math

import numpy as np
import pytest
import scipy.stats

from rl_lab import statistics
from rl_lab.statistics.suite import suite


def scores(n=5, k=6):
    g = np.random.default_rng(0)
    return {name: g.normal(0.8, 0.3, (n, k)) for name in ("C", "A", "B")}


def test_suite_aggregates_seeds_and_environments():
    data = scores()
    means = np.concatenate([data[name].mean(axis=1) for name in sorted(data)])
    found = suite(data, np.random.default_rng(1), resamples=500)
    assert found.mean.estimate == pytest.approx(means.mean())
    assert found.iqm.estimate == pytest.approx(scipy.stats.trim_mean(means, 0.25))
    assert found.optimality_gap.estimate == pytest.approx(statistics.optimality_gap(means))
    for interval in (found.mean, found.iqm, found.optimality_gap):
        assert interval.low < interval.estimate < interval.high
        expected = "95% stratified bootstrap, 3 environments, 5 training seeds each"
        assert interval.method == expected


def test_suite_does_not_depend_on_the_order_of_environments():
    data = scores()
    backwards = dict(reversed(data.items()))
    assert suite(data, np.random.default_rng(1), resamples=50) == suite(
        backwards, np.random.default_rng(1), resamples=50
    )


def test_suite_weighs_environments_equally_in_the_profile():
    data = {"A": np.ones((2, 50)), "B": np.zeros((2, 2)), "C": np.zeros((3, 2))}
    assert suite(data, np.random.default_rng(1), (0.5,), 50).profile == pytest.approx((1 / 3,))


def test_suite_needs_environments_and_values():
    data = scores(2)
    found = suite(data, np.random.default_rng(1), resamples=50)
    assert math.isnan(found.iqm.estimate)
    assert found.iqm.method == "fewer than 8 seeds x environments: no interval"
    del data["A"]
    with pytest.raises(ValueError, match="2 environments"):
        suite(data, np.random.default_rng(1))

import itertools
import math
import warnings

import numpy as np
import pytest
import scipy.stats

from rl_lab import statistics
from rl_lab.statistics import resampling

SIMULATIONS = 500


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def generator(seed=0):
    return np.random.default_rng(seed)


def mean(stack):
    return stack.mean(axis=(1, 2))


def ends(interval):
    return interval.low, interval.high


def crossed_experiment(g, n, k, seed_sd=1.0, episode_sd=1.0, noise_sd=1.0):
    """Returns [n, k] around 0 and their expectation on this list of evaluation seeds."""
    columns = g.normal(0, episode_sd, k)
    matrix = g.normal(0, seed_sd, (n, 1)) + columns + g.normal(0, noise_sd, (n, k))
    return matrix, columns.mean()


def coverage(interval_and_truth):
    hits = [i.low <= truth <= i.high for i, truth in interval_and_truth]
    return sum(hits) / len(hits)


# --- t ---------------------------------------------------------------------------------------


def test_t_interval_by_hand():
    # mean 4, sd 2, t(0.975, 2) = 4.302653
    interval = statistics.t_interval([2.0, 4.0, 6.0], "training seed")
    half = 4.302652729911275 * 2 / math.sqrt(3)
    assert interval.estimate == 4.0
    assert ends(interval) == pytest.approx((4 - half, 4 + half))
    assert interval.method == "95% t over 3 training seeds"


def test_t_interval_agrees_with_scipy():
    x = generator().normal(size=7)
    expected = scipy.stats.ttest_1samp(x, 0.0).confidence_interval()
    assert ends(statistics.t_interval(x)) == pytest.approx(tuple(expected))


def test_t_interval_of_equal_values_has_no_width():
    assert ends(statistics.t_interval([500.0] * 5)) == (500.0, 500.0)
    x = [0.1 + 0.2, 0.3, 0.3]  # differ in the last bit
    low, high = ends(statistics.t_interval(x))
    assert low == high


def test_t_interval_of_one_value_says_why_there_is_none():
    interval = statistics.t_interval([3.0], "episode")
    assert interval.estimate == 3.0
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert interval.method == "one episode: no interval"


@pytest.mark.parametrize("n", [3, 5, 10])
def test_t_over_seeds_covers(n):
    g = generator(n)
    experiments = (crossed_experiment(g, n, 20) for _ in range(SIMULATIONS))
    over_seeds = ((statistics.t_interval(x.mean(axis=1)), truth) for x, truth in experiments)
    assert coverage(over_seeds) >= 0.9


def test_pooled_episodes_do_not_cover():
    g = generator()
    experiments = (crossed_experiment(g, 5, 20, episode_sd=0.0)[0] for _ in range(SIMULATIONS))
    pooled = coverage((statistics.t_interval(x.ravel()), 0.0) for x in experiments)
    assert 0.3 < pooled < 0.55


# --- crossed bootstrap -----------------------------------------------------------------------


def test_crossed_bootstrap_covers():
    g = generator()
    experiments = (crossed_experiment(g, 10, 20)[0] for _ in range(SIMULATIONS))
    intervals = ((statistics.crossed_bootstrap(x, mean, g, 400), 0.0) for x in experiments)
    assert coverage(intervals) >= 0.9


def test_crossed_bootstrap_matches_a_plain_loop():
    x = generator(1).normal(size=(10, 6))
    g, n, k = generator(2), *x.shape
    draws = []
    for _ in range(3000):
        rows, columns = g.integers(n, size=n), g.integers(k, size=k)
        draws.append(x[rows][:, columns].mean())
    interval = statistics.crossed_bootstrap(x, mean, generator(3))
    assert interval.estimate == pytest.approx(x.mean())
    assert ends(interval) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.04)
    assert interval.method == "95% crossed bootstrap, 10 training seeds, 6 shared evaluation seeds"


def test_crossed_resamples_rows_apart_and_columns_together():
    a, b = np.arange(12.0).reshape(3, 4), np.arange(12.0, 32.0).reshape(5, 4)
    seen = []

    def look(x, y):
        seen.append((x, y))
        return mean(x)

    resampling.crossed([a, b], look, generator(), 50)
    x, y = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    assert x.shape == (50, 3, 4)
    assert y.shape == (50, 5, 4)
    assert np.array_equal(x[:, 0] % 4, y[:, 0] % 4)  # which columns were drawn
    assert not np.array_equal(x[:, :, 0] // 4, y[:, :3, 0] // 4 - 3)  # which rows were


def test_crossed_draws_do_not_depend_on_the_statistics_shape():
    x = generator(1).normal(size=(10, 6))
    levels = np.stack([x, 2 * x], axis=2)
    plain = resampling.crossed([x], mean, generator(), 100)
    assert resampling.crossed([levels], mean, generator(), 100) == pytest.approx(
        np.stack([plain, 2 * plain], axis=1)
    )


def test_bootstrap_of_one_row_is_over_its_episodes():
    interval = statistics.crossed_bootstrap(np.arange(20.0)[None], mean, generator())
    assert interval.method == "95% bootstrap over 20 episodes"
    assert interval.low < 9.5 < interval.high


# --- reward ----------------------------------------------------------------------------------


def test_reward_interval_chooses_by_the_number_of_training_seeds():
    x = generator().normal(size=(12, 30))
    assert statistics.reward_interval(x[:1], generator()).method == "95% t over 30 episodes"
    for n in (2, 9):
        interval = statistics.reward_interval(x[:n], generator())
        assert ends(interval) == ends(statistics.t_interval(x[:n].mean(axis=1)))
        assert interval.method == f"95% t over {n} training seeds"
    for n in (10, 12):
        assert "crossed bootstrap" in statistics.reward_interval(x[:n], generator()).method


def test_one_episode_has_no_interval():
    interval = statistics.reward_interval([[7.0]], generator())
    assert (interval.estimate, interval.method) == (7.0, "one episode: no interval")
    assert math.isnan(interval.low)
    assert math.isnan(statistics.crossed_bootstrap([[7.0]], mean, generator()).high)


@pytest.mark.parametrize("n", [1, 3, 10])
@pytest.mark.parametrize("value", [0.1, -200.0, 0.0])
def test_equal_returns_have_an_interval_without_width(n, value):
    interval = statistics.reward_interval(np.full((n, 7), value), generator())
    assert interval.low == interval.high == interval.estimate == pytest.approx(value)


def test_the_same_generator_gives_the_same_interval():
    x = generator().normal(size=(10, 30))
    same = [statistics.reward_interval(x, generator(4)) for _ in range(2)]
    assert same[0] == same[1]


# --- differences -----------------------------------------------------------------------------


def test_delta_below_ten_seeds_is_welch():
    g = generator()
    a, b = g.normal(1, 1, (4, 20)), g.normal(0, 3, (6, 20))
    expected = scipy.stats.ttest_ind(a.mean(axis=1), b.mean(axis=1), equal_var=False)
    interval = statistics.delta_interval(a, b, generator())
    assert ends(interval) == pytest.approx(tuple(expected.confidence_interval()))
    assert interval.method == "95% Welch t over 4 and 6 training seeds"
    assert statistics.delta_p_value(a, b, generator()) == pytest.approx(expected.pvalue)


def test_welch_with_one_constant_side_by_hand():
    # B is constant: a one-sample t test of 480, 490, 500 against 470; t(0.975, 2) = 4.302653
    a, b = np.array([[480.0], [490.0], [500.0]]), np.full((3, 1), 470.0)
    half = 4.302652729911275 * 10 / math.sqrt(3)
    assert ends(statistics.delta_interval(a, b, generator())) == pytest.approx(
        (20 - half, 20 + half)
    )
    expected = scipy.stats.ttest_1samp([480.0, 490.0, 500.0], 470.0).pvalue
    assert statistics.delta_p_value(a, b, generator()) == pytest.approx(expected)


def test_delta_of_two_checkpoints_is_paired():
    g = generator()
    shared = g.normal(0, 10, 30)
    a, b = (shared + g.normal(1, 1, 30))[None], (shared + g.normal(0, 1, 30))[None]
    interval = statistics.delta_interval(a, b, generator())
    expected = scipy.stats.ttest_rel(a[0], b[0]).confidence_interval()
    assert ends(interval) == pytest.approx(tuple(expected))
    assert interval.method == "95% paired t over 30 shared evaluation seeds"
    assert statistics.delta_p_value(a, b, generator()) < 0.01


@pytest.mark.parametrize("n", [10, 14])
def test_delta_from_ten_seeds_is_a_joint_bootstrap(n):
    g = generator()
    hard = g.normal(0, 100, 20)  # the same difficulty for both must cancel
    a, b = hard + g.normal(1, 1, (n, 20)), hard + g.normal(0, 1, (10, 20))
    interval = statistics.delta_interval(a, b, generator())
    seeds = "10 training seeds" if n == 10 else "14 and 10 training seeds"
    assert interval.method == f"95% crossed bootstrap, {seeds}, 20 shared evaluation seeds"
    assert 0.3 < interval.low < interval.estimate < interval.high < 1.7
    assert statistics.delta_p_value(a, b, generator()) == pytest.approx(2 / 5001)
    assert statistics.delta_p_value(b, b, generator()) > 0.9


def test_the_bootstrap_test_and_interval_agree():
    g = generator()
    for shift in np.linspace(0, 1.2, 12):
        a, b = g.normal(shift, 1, (10, 5)), g.normal(0, 1, (10, 5))
        interval = statistics.delta_interval(a, b, generator(1))
        excluded = interval.low > 0 or interval.high < 0
        p_value = statistics.delta_p_value(a, b, generator(1))
        assert excluded == (p_value < 0.05) or p_value == pytest.approx(0.05, abs=0.001)


def test_one_seed_against_several_has_no_interval():
    a, b = np.zeros((1, 5)), np.ones((3, 5))
    for x, y, estimate in ((a, b, -1.0), (b, a, 1.0)):
        interval = statistics.delta_interval(x, y, generator())
        assert interval.estimate == estimate
        assert math.isnan(interval.low)
        assert interval.method.endswith(": no interval")
        assert math.isnan(statistics.delta_p_value(x, y, generator()))


def test_one_episode_each_has_no_difference_interval():
    interval = statistics.delta_interval([[1.0]], [[2.0]], generator())
    assert interval.method == "one shared evaluation seed: no interval"
    assert math.isnan(statistics.delta_p_value([[1.0]], [[2.0]], generator()))


@pytest.mark.parametrize("n", [1, 3, 10])
def test_equal_agents_differ_by_exactly_nothing(n):
    a, b = np.full((n, 8), 0.1 + 0.2), np.full((n, 8), 0.3)
    interval = statistics.delta_interval(a, b, generator())
    assert (interval.estimate, *ends(interval)) == (0.0, 0.0, 0.0)
    assert statistics.delta_p_value(a, b, generator()) == 1.0


@pytest.mark.parametrize("n", [1, 3, 10])
def test_constant_agents_differ_by_an_interval_without_width(n):
    a, b = np.full((n, 8), 500.0), np.full((n, 8), 490.0)
    interval = statistics.delta_interval(a, b, generator())
    assert (interval.estimate, *ends(interval)) == (10.0, 10.0, 10.0)
    assert statistics.delta_p_value(a, b, generator()) < 0.05


def test_agents_must_face_the_same_evaluation_seeds():
    with pytest.raises(ValueError, match="5 against 4"):
        statistics.delta_interval(np.zeros((3, 5)), np.zeros((3, 4)), generator())


def test_welch_covers_the_difference():
    g = generator()

    def experiment():
        a, b = g.normal(0, 1, (5, 1)), g.normal(0, 3, (5, 1))
        shared = g.normal(0, 4, 20)
        return a + shared + g.normal(0, 1, (5, 20)), b + shared + g.normal(0, 1, (5, 20))

    intervals = ((statistics.delta_interval(*experiment(), g), 0.0) for _ in range(SIMULATIONS))
    assert coverage(intervals) >= 0.9


# --- sign flips ------------------------------------------------------------------------------


def test_sign_flip_by_hand():
    # 5 positive differences: only all-plus and all-minus are as extreme, 2 of 32
    a, b = np.arange(1.0, 6.0)[None], np.zeros((1, 5))
    assert statistics.delta_p_value(a, b, generator()) == 0.0625
    assert statistics.delta_p_value([[*a[0], 6.0]], np.zeros((1, 6)), generator()) == 0.03125


def test_sign_flip_agrees_with_scipy():
    differences = generator().normal(0.5, 1, 9)
    exact = scipy.stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    found = resampling.sign_flip_p_value(differences, generator())
    assert found == pytest.approx(exact.pvalue)


def test_drawn_sign_flips_agree_with_all_of_them():
    differences = generator(3).normal(0.4, 1, 15)
    sums = [abs(np.dot(s, differences)) for s in itertools.product((-1, 1), repeat=15)]
    exact = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-9)
    found = resampling.sign_flip_p_value(differences, generator())
    assert found == pytest.approx(exact, abs=0.02)


# --- corrections and shares ------------------------------------------------------------------


def test_holm_by_hand():
    # sorted 0.01 * 3, 0.03 * 2, then 0.04 * 1 < 0.06 is raised to 0.06
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.5, 0.9]) == [1.0, 1.0]
    assert statistics.holm([0.2]) == [0.2]
    assert statistics.holm([]) == []


def test_wilson_by_hand():
    # 8 of 10, z = 1.959964: centre (0.8 + z^2/20) / (1 + z^2/10)
    z = 1.959963984540054
    centre = (0.8 + z**2 / 20) / (1 + z**2 / 10)
    half = z / (1 + z**2 / 10) * math.sqrt(0.8 * 0.2 / 10 + z**2 / 400)
    interval = statistics.wilson(8, 10)
    assert interval.estimate == 0.8
    assert ends(interval) == pytest.approx((centre - half, centre + half))
    assert interval.method == "95% Wilson over 10 episodes"


def test_wilson_at_the_ends():
    assert statistics.wilson(50, 50).high == 1.0
    assert 0.9 < statistics.wilson(50, 50).low < 1.0
    assert statistics.wilson(0, 50).low == 0.0
    assert statistics.wilson(0, 0).method == "no episodes: no interval"


def test_an_interval_is_cut_to_its_range():
    interval = statistics.Interval(0.9, 0.7, 1.1, "t").clipped(0.0, 1.0)
    assert interval == statistics.Interval(0.9, 0.7, 1.0, "t, cut to [0, 1]")
    assert math.isnan(statistics.t_interval([0.5]).clipped(0.0, 1.0).low)

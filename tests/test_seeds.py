"""Intervals over training seeds of any number of their episodes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rl_lab.statistics import intervals
from rl_lab.statistics.resampling import FloatArray
from rl_lab.statistics.seeds import Seed, of_matrix, over_seeds


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def lowest_mean(episodes: FloatArray) -> FloatArray:
    """The worst level of [..., k, l]."""
    return np.asarray(episodes.mean(axis=-2).min(axis=-1))


def test_few_seeds_have_students_t_over_their_numbers() -> None:
    x = generator().normal(size=(4, 6, 3))
    expected = intervals.t_interval(x.mean(axis=1).min(axis=1), "training seed")
    assert over_seeds(of_matrix(x, lowest_mean), generator()) == expected


@pytest.mark.parametrize("n", [1, 10])
def test_resampled_as_the_crossed_bootstrap_has_it(n: int) -> None:
    """Two programs, two streams of draws: ends agree to the noise of 5000 resamples."""
    x = generator(1).normal(size=(n, 12, 3))

    def mean(stack: FloatArray) -> FloatArray:
        return np.asarray(lowest_mean(stack).mean(axis=1))

    ours = over_seeds(of_matrix(x, lowest_mean), generator(2))
    other = intervals.crossed_bootstrap(x, mean, generator(3))
    assert ours.method == other.method
    assert ours.estimate == pytest.approx(other.estimate)
    width = other.high - other.low
    assert ours.low == pytest.approx(other.low, abs=0.05 * width)
    assert ours.high == pytest.approx(other.high, abs=0.05 * width)


def test_seeds_may_have_numbers_of_different_make() -> None:
    """One seed has two levels, the others three; only the evaluation seeds have to agree."""
    x = generator(1).normal(size=(10, 12, 3))
    narrow = x.copy()
    narrow[0, :, 2] = np.inf  # a third level that is never the lowest
    two = [Seed(x[0, :, :2], lowest_mean), *of_matrix(x[1:], lowest_mean)]
    assert over_seeds(two, generator(5)) == over_seeds(of_matrix(narrow, lowest_mean), generator(5))


def test_evaluation_seeds_are_drawn_once_for_all() -> None:
    """All seeds return the evaluation seed itself: averaging over seeds narrows nothing."""
    x = np.tile(np.arange(20.0), (10, 1))
    found = over_seeds(of_matrix(x, lambda e: e.mean(axis=-1)), generator())
    sd_of_mean = np.arange(20.0).std() / math.sqrt(20)
    assert found.high - found.low == pytest.approx(2 * 1.96 * sd_of_mean, rel=0.05)


def test_resamples_without_a_number_are_left_out() -> None:
    def mean_of_known(episodes: FloatArray) -> FloatArray:
        known = np.where(np.isnan(episodes), 0.0, episodes).sum(axis=-1)
        count = (~np.isnan(episodes)).sum(axis=-1)
        return np.asarray(np.where(count > 0, known / np.maximum(count, 1), np.nan))

    found = over_seeds([Seed(np.array([np.nan, 3.0]), mean_of_known)], generator())
    assert (found.estimate, found.low, found.high) == (3.0, 3.0, 3.0)


def test_one_episode_of_one_seed_has_no_interval() -> None:
    found = over_seeds([Seed(np.array([7.0]), lambda e: e.mean(axis=-1))], generator())
    assert (found.estimate, found.method) == (7.0, "one episode: no interval")
    assert math.isnan(found.low)


def test_one_episode_of_many_seeds_has_one() -> None:
    x = generator().normal(size=(12, 1))
    found = over_seeds(of_matrix(x, lambda e: e.mean(axis=-1)), generator())
    assert found.low < found.estimate < found.high


def test_covers_a_share_of_two_means() -> None:
    """A ratio of 10 seeds' means, true value 2: nominal 95 %, over 150 simulated experiments."""
    draws, hits = generator(7), 0

    def share(episodes: FloatArray) -> FloatArray:
        mean = episodes.mean(axis=-2)
        return np.asarray(mean[..., 1] / mean[..., 0])

    for _ in range(150):
        effects = draws.normal(size=(12, 1)) * 0.2
        noise = draws.normal(size=(12, 20, 2)) * 0.3
        x = np.stack([1.0 + 0 * effects, 2.0 + effects], axis=-1) + noise
        found = over_seeds(of_matrix(x, share), draws, resamples=400)
        hits += found.low <= 2.0 <= found.high
    assert 0.86 <= hits / 150 <= 0.99

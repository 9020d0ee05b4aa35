"""Drift statistics: hand-worked numbers, SciPy as the oracle, error rates by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from drift_oracles import cusum, novelty_rate

from rl_lab.statistics import drift, dynamics
from rl_lab.statistics.resampling import FloatArray


def episodes(count: int, mean: float, generator: np.random.Generator) -> list[FloatArray]:
    """Autocorrelated episodes of two dimensions, each around a level of its own."""
    made = []
    for _ in range(count):
        noise = generator.standard_normal((30, 2))
        walk = np.cumsum(noise, axis=0) * 0.3 + generator.standard_normal(2) + [mean, 0.0]
        made.append(walk)
    return made


def test_the_effect_is_the_largest_distance_in_reference_units() -> None:
    g = np.random.default_rng(0)
    reference, current = episodes(5, 0.0, g), episodes(7, 1.5, g)
    sd_s = np.array([2.0, 3.0])
    tested = drift.obs_shift(reference, current, sd_s, g, permutations=9)
    a, b = np.concatenate(reference), np.concatenate(current)
    distances = [scipy.stats.wasserstein_distance(a[:, j], b[:, j]) / sd_s[j] for j in (0, 1)]
    assert tested.effect.value == pytest.approx(max(distances))


def test_permutations_take_episodes_whole() -> None:
    """Two against two episodes: the observed split is the most extreme of the six, and its mirror.

    Steps permuted one by one would make p arbitrarily small.
    """
    reference = [np.full((50, 1), v) for v in (0.0, 0.1)]
    current = [np.full((50, 1), v) for v in (5.0, 5.1)]
    g = np.random.default_rng(0)
    tested = drift.obs_shift(reference, current, np.ones(1), g, permutations=3000)
    assert tested.effect.value == pytest.approx(5.0)
    assert tested.p_value == pytest.approx(2 / 6, abs=0.03)


def test_identical_episodes_have_no_shift() -> None:
    same = [np.arange(12.0).reshape(6, 2)] * 4
    tested = drift.obs_shift(same, same, np.ones(2), np.random.default_rng(0), 99)
    assert tested.effect.value == pytest.approx(0.0, abs=1e-12)
    assert (tested.p_value or 0.0) > 0.5


def test_total_variation_by_hand() -> None:
    # shares (1/2, 1/2, 0) against (1/4, 1/4, 1/2)
    reference = [np.array([0, 1]), np.array([1, 0])]
    current = [np.array([7, 7]), np.array([0, 1])]
    tested = drift.category_shift(reference, current, np.random.default_rng(0), 99)
    assert tested.effect.value == pytest.approx(0.5)


def test_observation_test_keeps_its_level_and_has_power() -> None:
    """200 nominal runs: 2 to 9 % rejected at 5 %, as the episodes are exchangeable."""
    g = np.random.default_rng(1)
    rejected = 0
    for _ in range(200):
        tested = drift.obs_shift(episodes(10, 0, g), episodes(10, 0, g), np.ones(2), g, 99)
        rejected += (tested.p_value or 1.0) <= 0.05
    assert 4 <= rejected <= 18
    found = [
        drift.obs_shift(episodes(10, 0, g), episodes(10, 3.0, g), np.ones(2), g, 99).p_value
        for _ in range(20)
    ]
    assert sum((p or 1.0) <= 0.05 for p in found) >= 15


def test_novelty_by_hand() -> None:
    seen = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, -2.0], [1.0, 1.0]])
    assert novelty_rate(seen, np.array([-1.0, -1.0]), np.array([1.0, 1.0])) == 0.5


def linear_world(
    count: int, gain: float, generator: np.random.Generator
) -> list[tuple[FloatArray, FloatArray]]:
    """s' = 0.9 s + gain a + noise of deviation 0.1, with s in two dimensions."""
    made = []
    for _ in range(count):
        states, actions = np.zeros((40, 2)), generator.choice([-1.0, 1.0], (40, 1))
        for t in range(39):
            noise = 0.1 * generator.standard_normal(2)
            states[t + 1] = 0.9 * states[t] + gain * actions[t] + noise
        made.append((states, actions))
    return made


def test_features_by_hand() -> None:
    row = dynamics.features(np.array([[2.0, 3.0]]), np.array([[5.0]]))
    assert row.tolist() == [[1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 4.0, 9.0]]
    assert dynamics.feature_count(2, 1) == 8


def test_the_model_finds_a_linear_world() -> None:
    model = dynamics.fit_dynamics(linear_world(50, 0.5, np.random.default_rng(0)))
    known = np.zeros((8, 2))
    known[1, 0] = known[2, 1] = 0.9
    known[3] = 0.5
    assert model.weights == pytest.approx(known, abs=0.02)
    assert model.sd_s == pytest.approx([0.1, 0.1], rel=0.05)
    # squared standard normals: mean 1, deviation of the mean of two 1
    assert model.residual_mean == pytest.approx(1.0, rel=0.01)
    assert model.residual_sd == pytest.approx(1.0, rel=0.1)


def test_too_few_transitions_give_no_model() -> None:
    few = linear_world(2, 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="78 transitions are too few for a model of 8 features"):
        dynamics.fit_dynamics(few)


def test_a_residual_by_hand() -> None:
    weights = np.zeros((8, 2))
    weights[1, 0] = weights[2, 1] = 1.0  # "nothing moves"
    model = dynamics.DynamicsModel(weights, np.array([1.0, 2.0]), 0.0, 1.0)
    states = np.array([[0.0, 0.0], [1.0, 4.0]])
    assert dynamics.residuals(model, states, np.zeros((2, 1))).tolist() == [(1.0 + 4.0) / 2]


def test_dynamics_shift_by_hand() -> None:
    g = np.random.default_rng(0)
    tested = drift.dynamics_shift([1.0, 1.0, 2.0], [100.0, 90.0, 300.0], g)
    assert tested.effect.value == pytest.approx(2.0)
    # of 20 splits the observed one, that with 2 for 90, and their mirrors are as extreme
    assert tested.p_value == pytest.approx(0.2, abs=0.04)


def test_dynamics_shift_without_a_ratio() -> None:
    g = np.random.default_rng(0)
    zeros = drift.dynamics_shift([0.0, 0.0], [1.0, 1.0], g)
    assert zeros.effect.value is None
    assert zeros.effect.reason == "calibration residuals are 0: no ratio"
    assert drift.dynamics_shift([0.0, 0.0], [0.0], g).effect.value == 0.0
    broken = drift.dynamics_shift([1.0], [float("inf")], g)
    assert (broken.effect.reason, broken.p_value) == ("a residual is not finite", None)


def test_cusum_by_hand() -> None:
    found = cusum(np.array([1.0, 0.0, 2.0, -9.0, 1.0]), 0.5)
    assert found == pytest.approx([0.5, 0, 1.5, 0, 0.5])


def test_the_threshold_is_the_conformal_rank() -> None:
    maxima = [float(i) for i in range(1, 20)]
    assert drift.conformal_threshold(maxima, 0.05) == 19.0  # ceil(20 * 0.95) = 19
    assert drift.conformal_threshold([*maxima, 20.0, 21.0], 0.1) == 20.0  # ceil(22 * 0.9) = 20
    assert drift.fewest_calibration_episodes(0.05) == 19
    with pytest.raises(ValueError, match="19 are needed"):
        drift.conformal_threshold(maxima[:-1], 0.05)


@pytest.mark.parametrize("calibration", [19, 59])
def test_false_alarms_stay_at_the_declared_rate(calibration: int) -> None:
    """200 nominal runs with references of their own: 2 to 9 % of new episodes alarm at 5 %."""
    g = np.random.default_rng(2)
    alarms = 0
    for _ in range(200):
        model = dynamics.fit_dynamics(linear_world(3, 0.5, g))
        highest = [peak(model, e) for e in linear_world(calibration + 1, 0.5, g)]
        alarms += highest[-1] > drift.conformal_threshold(highest[:-1], 0.05)
    assert 4 <= alarms <= 18


def test_the_alarm_has_power_on_a_declared_shift() -> None:
    g = np.random.default_rng(3)
    model = dynamics.fit_dynamics(linear_world(20, 0.5, g))
    highest = [peak(model, e) for e in linear_world(59, 0.5, g)]
    threshold = drift.conformal_threshold(highest, 0.05)
    found = [peak(model, e) > threshold for e in linear_world(50, 0.65, g)]
    assert np.mean(found) >= 0.9


def peak(model: dynamics.DynamicsModel, episode: tuple[FloatArray, FloatArray]) -> float:
    residuals = dynamics.residuals(model, *episode)
    return float(cusum((residuals - model.residual_mean) / model.residual_sd, 0.5).max())


def test_delays_count_who_never_alarmed_as_later() -> None:
    assert drift.detection_delay([3, 5, None]).median.value == 5.0
    assert drift.detection_delay([3, None]).median.value is None
    assert "1 of 2 detected" in drift.detection_delay([3, None]).median.reason
    assert drift.detection_delay([2, 4]).median.value == 3.0
    assert drift.detection_delay([]).median.reason == "no episode reached the change"

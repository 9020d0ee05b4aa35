"""The monitor: silent at home, loud elsewhere, and only with statistics of its own policy."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from drift_oracles import cusum, novelty_rate
from fakes import linear_policy, saved

import rl_lab
from rl_lab import episodes, paths, seeding, spaces
from rl_lab.drift import gathering, storing, vectors
from rl_lab.drift.reference import Reference, Settings, require_valid
from rl_lab.drift.tracking import KEPT, Tracker
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import FrozenPolicy
from rl_lab.statistics import dynamics
from rl_lab.statistics.adaptation import Measured

SETTINGS = Settings(
    fit_episodes=8, calibration_episodes=19, false_alarm_rate=0.05, kappa=0.5, step_limit=1000
)
# Keeps the pole up for a while: push towards where it falls.
BALANCE = [[0.0, 0.0, -1.0, -1.0], [0.0, 0.0, 1.0, 1.0]]


def balancer() -> FrozenPolicy:
    return linear_policy("CartPole-v1", BALANCE, [0.0, 0.0])


def reference_of(policy: FrozenPolicy, settings: Settings = SETTINGS) -> Reference:
    seeds = seeding.reference_seeds(0, settings.episodes)
    environment = str(policy.card.environment["id"])
    made = gathering.gather(policy, lambda: gymnasium.make(environment), seeds, settings)
    assert isinstance(made, Reference)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = saved(balancer(), tmp_path_factory.mktemp("policy"))
    storing.save(reference_of(balancer()), place)
    return place


def watch(folder: Path, count: int, **attributes: float) -> rl_lab.DriftMonitor:
    """A monitor that has seen so many episodes in a world with other attributes."""
    policy = rl_lab.load_policy(folder)
    monitor = rl_lab.DriftMonitor(policy)
    env = gymnasium.make("CartPole-v1")
    for name, value in attributes.items():
        setattr(env.unwrapped, name, value)
    for seed in range(count):
        for observation, action, *_ in episodes.rollout(env, policy, 10_000 + seed, 1000):
            monitor.update(observation, action)
        monitor.end_episode()
    return monitor


def test_at_home_it_stays_near_the_declared_rate(folder: Path) -> None:
    report = watch(folder, 60).report()
    assert report.episodes == 60
    # 19 calibration episodes: Beta-binomial(60; 1, 19), so 9 or fewer in 94 % of references.
    assert report.alarms <= 9
    assert report.false_alarm_rate == 0.05
    assert (report.obs_shift.p_value or 0) > 0.01
    assert (report.dynamics_shift.p_value or 0) > 0.01
    assert (report.novelty_rate.value or 1) < 0.4


def test_an_alarm_calibrated_to_every_other_episode_goes_up_as_often(tmp_path: Path) -> None:
    """From below as well: an alarm that stays silent keeps any rate.

    The 10th of 19 calibration episodes is the threshold: Beta-binomial(60; 10, 10), which lies
    between 12 and 48 for 99 in 100 references.
    """
    place = saved(balancer(), tmp_path / "policy")
    storing.save(
        reference_of(balancer(), dataclasses.replace(SETTINGS, false_alarm_rate=0.5)), place
    )
    assert 12 <= watch(place, 60).report().alarms <= 48


def test_another_world_raises_the_alarm(folder: Path) -> None:
    report = watch(folder, 10, force_mag=12.0).report()
    assert report.alarms >= 9
    assert (report.dynamics_shift.p_value or 1) <= 0.01
    assert (report.dynamics_shift.effect.value or 0) > 1


def test_the_alarm_stays_up_until_the_episode_ends(folder: Path) -> None:
    monitor = rl_lab.DriftMonitor(folder)
    low = np.zeros(4, np.float32)
    assert not monitor.update(low, 0)
    assert monitor.update(low + 3, 0), "no physics moves like that"
    assert monitor.update(low + 3, 0)
    ended = monitor.end_episode()
    assert ended is not None
    assert (ended.steps, ended.alarm_step) == (3, 2)
    assert not monitor.alarm
    assert monitor.end_episode() is None


def test_a_broken_sensor_is_an_alarm(folder: Path) -> None:
    monitor = rl_lab.DriftMonitor(folder)
    monitor.update(np.zeros(4, np.float32), 0)
    assert monitor.update(np.array([0, np.nan, 0, 0], np.float32), 0)
    monitor.end_episode()
    report = monitor.report()
    assert report.obs_shift.effect.reason == "an observation is not finite"
    assert report.dynamics_shift.effect.value is None


def test_nothing_seen_says_so(folder: Path) -> None:
    report = rl_lab.DriftMonitor(folder).report()
    assert report.obs_shift.effect.reason == "no episode has ended"
    assert report.novelty_rate == Measured(None, "no episode has ended")
    assert report.nominal_novelty_rate > 0.0


def test_another_shape_is_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match="does not fit the policy"):
        rl_lab.DriftMonitor(folder).update(np.zeros(3), 0)


def test_the_tracker_agrees_with_the_batch_formulas() -> None:
    """Step by step and all at once give the same residuals, sum and novelty."""
    g = np.random.default_rng(0)
    states, actions = g.standard_normal((400, 3)), g.standard_normal((400, 2))
    model = dynamics.fit_dynamics([(states[:200], actions[:200])])
    low, high = np.full(3, -1.0), np.full(3, 1.0)
    plain = vectors.of_observations(spaces.to_data(gymnasium.spaces.Box(-9, 9, (3,))))
    assert not isinstance(plain, str)
    acts = vectors.of_actions(spaces.to_data(gymnasium.spaces.Box(-9, 9, (2,))))
    tracker = Tracker(plain, acts, model, low, high, 0.5)
    path = [tracker.step(s, a) for s, a in zip(states, actions, strict=True)]
    known = dynamics.residuals(model, states, actions)
    z = (known - model.residual_mean) / model.residual_sd
    assert path[1:] == pytest.approx(cusum(z, 0.5))
    assert tracker.residual == pytest.approx(known.mean())
    assert tracker.highest == pytest.approx(max(path))
    assert tracker.novelty_rate == novelty_rate(states, low, high)
    assert KEPT / 2 <= len(tracker.samples) <= KEPT
    assert tracker.samples[1] == pytest.approx(states[16])


def test_a_reference_reads_back_equal(folder: Path) -> None:
    made = reference_of(balancer())
    read = storing.load(folder, made.policy_sha256)
    assert storing.to_data(read) == storing.to_data(made)


def test_a_reference_is_of_one_policy(folder: Path, tmp_path: Path) -> None:
    other = linear_policy("CartPole-v1", BALANCE, [0.0, 0.1])
    saved(other, tmp_path)
    (tmp_path / paths.REFERENCE).write_bytes((folder / paths.REFERENCE).read_bytes())
    with pytest.raises(BadInput, match="is of another policy"):
        rl_lab.DriftMonitor(tmp_path)
    saved(other, tmp_path)
    assert not (tmp_path / paths.REFERENCE).exists(), "a policy that is replaced takes it along"
    with pytest.raises(BadInput, match=r"has no reference\.json"):
        rl_lab.DriftMonitor(tmp_path)


def test_a_policy_that_was_never_saved_has_none() -> None:
    with pytest.raises(BadInput, match="not loaded from a folder"):
        rl_lab.DriftMonitor(balancer())


def _reseal(data: dict[str, Any]) -> dict[str, Any]:
    body = {k: v for k, v in data.items() if k != "reference_sha256"}
    return {**body, "reference_sha256": storing._hash(body)}


@pytest.mark.parametrize(
    "change",
    [
        {"kappa": None},
        {"threshold": None},
        {"threshold": -1.0},
        {"categories": 1},
        {"residuals": []},
        {"sd_s": {"dtype": "float64", "shape": [4], "zlib": "nonsense"}},
        {"samples": {"lengths": [3], "rows": 5}},
        {"model": {"weights": 3}},
        {"more": 1},
    ],
)
def test_a_damaged_reference_is_refused(
    change: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    saved(balancer(), tmp_path)
    data = json.loads((folder / paths.REFERENCE).read_text())
    sha256 = data["policy_sha256"]
    (tmp_path / paths.REFERENCE).write_text(json.dumps({**data, **change}))
    with pytest.raises(BadInput, match="changed after it was written"):
        storing.load(tmp_path, sha256)
    (tmp_path / paths.REFERENCE).write_text(json.dumps(_reseal({**data, **change})))
    with pytest.raises(BadInput, match="is damaged"):
        storing.load(tmp_path, sha256)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "x"}, "is no reference"),
        ({"format_version": 2}, "format_version 2"),
        ({"format_version": True}, "format_version True"),
    ],
)
def test_another_format_is_refused(
    change: dict[str, Any], said: str, folder: Path, tmp_path: Path
) -> None:
    saved(balancer(), tmp_path)
    data = json.loads((folder / paths.REFERENCE).read_text())
    (tmp_path / paths.REFERENCE).write_text(json.dumps({**data, **change}))
    with pytest.raises(BadInput, match=said):
        storing.load(tmp_path, data["policy_sha256"])


def test_discrete_observations_are_compared_by_total_variation(tmp_path: Path) -> None:
    space = spaces.to_data(gymnasium.spaces.Discrete(16))
    observed = vectors.of_observations(space)
    assert not isinstance(observed, str)
    assert observed.categories
    assert observed.of(3).argmax() == 3
    assert observed.of(3).sum() == 1


def test_actions_leave_the_first_value_to_the_constant() -> None:
    discrete = vectors.of_actions(spaces.to_data(gymnasium.spaces.Discrete(3)))
    assert [discrete.of(a).tolist() for a in range(3)] == [[0, 0], [1, 0], [0, 1]]
    several = vectors.of_actions(spaces.to_data(gymnasium.spaces.MultiDiscrete([2, 3])))
    assert several.of([1, 2]).tolist() == [1, 0, 1]
    bits = vectors.of_actions(spaces.to_data(gymnasium.spaces.MultiBinary(3)))
    assert bits.of([1, 0, 1]).tolist() == [1, 0, 1]


def test_images_are_refused_with_the_reason() -> None:
    image = gymnasium.spaces.Box(0, 255, (84, 84, 3), np.uint8)
    assert "images" in str(vectors.of_observations(spaces.to_data(image)))
    both = gymnasium.spaces.Dict({"camera": image, "speed": gymnasium.spaces.Box(-1, 1, (1,))})
    assert str(vectors.of_observations(spaces.to_data(both))).startswith("camera: ")
    long = gymnasium.spaces.Box(-1, 1, (600,))
    assert "600 numbers" in str(vectors.of_observations(spaces.to_data(long)))


def test_a_dict_is_one_vector() -> None:
    parts = {"a": gymnasium.spaces.Box(-1, 1, (2,)), "b": gymnasium.spaces.Discrete(2)}
    both = vectors.of_observations(spaces.to_data(gymnasium.spaces.Dict(parts)))
    assert not isinstance(both, str)
    assert both.of({"a": np.array([0.5, 0.25]), "b": 1}).tolist() == [0.5, 0.25, 0.0, 1.0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(2, 18, 0.05, 0.5, 1000), "calibration_episodes=19"),
        (Settings(1, 19, 0.05, 0.5, 1000), "fit_episodes=1"),
        (Settings(2, 19, 0.0, 0.5, 1000), "false_alarm_rate=0.0"),
        (Settings(2, 19, 0.05, -1.0, 1000), "kappa=-1.0"),
        (Settings(2, 19, 0.05, 0.5, 1), "step_limit=1"),
    ],
)
def test_settings_that_give_no_threshold_are_refused(settings: Settings, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        require_valid(settings, "monitoring")
    assert said in str(caught.value)


def test_no_reference_can_be_asked_for() -> None:
    none = Settings(0, 0, 0.05, 0.5, 1000)
    require_valid(none, "monitoring")
    assert none.episodes == 0

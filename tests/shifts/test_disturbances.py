"""Disturbances by hand, on an environment whose observation is the step's number."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import pytest

from rl_lab import shifts
from rl_lab.cli import shift_choice
from rl_lab.cli.options import Options
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput
from rl_lab.shifts.disturbances import COUNTING


class Counter(gymnasium.Env[Any, Any]):
    """Shows [step, 10 * step]; the reward is the action it was given."""

    observation_space = gymnasium.spaces.Box(-1e6, 1e6, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self._shown = np.zeros(2, np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._step = 0
        return self._observation(), {}

    def step(self, action: Any) -> Any:
        self._step += 1
        return self._observation(), float(action[0]), self._step == 12, False, {}

    def _observation(self) -> np.ndarray:
        # Always the same array, as some simulators do.
        self._shown[:] = self._step, 10 * self._step
        return self._shown


class Choices(Counter):
    """The same with choices."""

    observation_space = gymnasium.spaces.Discrete(50)
    action_space = gymnasium.spaces.Discrete(3)

    def step(self, action: Any) -> Any:
        observation, _, terminated, truncated, info = super().step([action])
        return observation, float(action), terminated, truncated, info

    def _observation(self) -> Any:
        return self._step


gymnasium.register("FakeCounter-v0", entry_point=Counter)
gymnasium.register("FakeChoices-v0", entry_point=Choices)


def lived(
    kind: str, value: float, environment: str = "FakeCounter-v0", seed: int = 3, **settings: Any
) -> tuple[list[Any], list[float]]:
    """Observations and rewards under a disturbance of some strength; see `under`."""
    nominal = 1.0 if kind in ("action_gain", "action_repetition") else 0.0
    shift = shifts.from_data(
        {
            "name": "tried",
            "environment": "any",
            "parameter": kind,
            "unit": "",
            "path": "additive",
            "nominal": nominal,
            "near": value,
            "far": value,
            "bounds": [0, None],
            "whole": kind in COUNTING,
            "acts": {"disturbance": {"kind": kind, **settings}},
            "source": "made up",
        }
    )
    return under(shifts.shifted(shift, 1.0), environment, seed)


def under(
    context: shifts.Context, environment: str = "FakeCounter-v0", seed: int = 3
) -> tuple[list[Any], list[float]]:
    """Observations and rewards in a context; actions are 0.1, 0.2, ... or 0, 1, 2, 0, ..."""
    recipe = EnvironmentRecipe(environment, {}, (), None)
    env = shifts.make(recipe, context)
    observations, rewards, over, i = [np.array(env.reset(seed=seed)[0])], [], False, 0
    while not over:
        i += 1
        choices = environment == "FakeChoices-v0"
        action = i % 3 if choices else np.array([i / 10], np.float32).clip(-1, 1)
        observation, reward, over, _, _ = env.step(action)
        observations.append(np.array(observation))
        rewards.append(float(reward))
    return observations, rewards


def firsts(observations: list[Any]) -> list[float]:
    return [float(np.ravel(o)[0]) for o in observations]


def test_a_late_observation_holds_the_first_one() -> None:
    observations, rewards = lived("observation_delay", 3.0)
    assert firsts(observations) == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert rewards == pytest.approx([min(i / 10, 1.0) for i in range(1, 13)])


def test_a_late_action_holds_the_first_one() -> None:
    observations, rewards = lived("action_delay", 2.0)
    assert rewards == pytest.approx([0.1, 0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert firsts(observations) == list(range(13))


def test_repeated_actions_add_up_their_rewards() -> None:
    observations, rewards = lived("action_repetition", 3.0)
    assert firsts(observations) == [0, 3, 6, 9, 12]
    assert rewards == pytest.approx([0.3, 0.6, 0.9, 1.2])


@pytest.mark.parametrize("name", COUNTING)
def test_steps_that_are_reported_are_those_that_are_taken(name: str) -> None:
    """At any magnitude, 0.05 included: what counts steps is whole, and never the training's own."""
    (shift,) = shift_choice.declared(f"any/{name}", "FakeCounter-v0", Options(), "shift")
    for delta in (0.05, 0.125, 0.1875, 0.25, 0.5, 0.7, 1.0):
        seen, rewards = under(shifts.shifted(shift, delta))
        taken = {
            "observation_delay": firsts(seen).count(0.0) - 1,
            "action_delay": sum(reward < 0.11 for reward in rewards) - 1,
            "action_repetition": round(rewards[0] / 0.1),
        }[name]
        assert taken == shift.value(delta) != shift.nominal


def test_fractions_of_steps_are_refused() -> None:
    (delay,) = shift_choice.declared("any/action_delay", "FakeCounter-v0", Options(), "shift")
    data = delay.to_data()
    del data["whole"]
    with pytest.raises(BadInput, match="action_delay by fractions of a step"):
        shifts.from_file(data)
    with pytest.raises(BadInput, match=r"whole with nominal, near, far 0.0, 2.5, 8.0"):
        shifts.from_data({**delay.to_data(), "near": 2.5})


@pytest.mark.parametrize("name", COUNTING)
def test_what_was_stored_before_there_was_whole_is_still_read(name: str) -> None:
    (shift,) = shift_choice.declared(f"any/{name}", "FakeCounter-v0", Options(), "shift")
    data = shift.to_data()
    del data["whole"]
    stored = dataclasses.replace(shift, whole=False)
    context = {"parts": [{"shift": data, "delta": 0.3}], "schedule": None, "tick": None}
    assert shifts.context_from_data(context).parts == ((stored, 0.3),)
    assert shifts.drawn_from_data({"range": "near", "shifts": [data]}).shifts == (stored,)
    # Its magnitudes mean what they did; the world counts the nearest whole number of steps.
    assert stored.value(0.3) == pytest.approx(shift.nominal + 0.3 * (shift.far - shift.nominal))
    seen, rewards = under(shifts.shifted(stored, 0.3))
    taken = {
        "observation_delay": firsts(seen).count(0.0) - 1,
        "action_delay": sum(reward < 0.11 for reward in rewards) - 1,
        "action_repetition": round(rewards[0] / 0.1),
    }[name]
    assert taken == round(stored.value(0.3))


def test_a_gain_stays_within_the_range() -> None:
    _, rewards = lived("action_gain", 2.0)
    assert rewards == pytest.approx([min(i / 5, 1.0) for i in range(1, 13)])


def test_a_sensor_that_always_fails_reads_0_or_its_last_value() -> None:
    dropped, rewards = lived("observation_dropout", 1.0, steps=2)
    assert firsts(dropped) == [0.0] * 13
    stuck, _ = lived("observation_stuck", 1.0, steps=2)
    assert firsts(stuck) == [0.0] * 13
    assert rewards == pytest.approx([min(i / 10, 1.0) for i in range(1, 13)])


def test_sensors_fail_one_by_one_and_for_as_long_as_declared() -> None:
    stuck = np.array(lived("observation_stuck", 0.15, steps=3)[0])
    fails = stuck != np.array([[i, 10 * i] for i in range(13)])
    assert fails.any(axis=0).all()
    assert not (fails[:, 0] == fails[:, 1]).all()
    for column in fails.T[:, :-3]:  # an episode may end while a sensor fails
        starts = np.flatnonzero(column & ~np.r_[False, column[:-1]])
        runs = [int(np.argmin(np.r_[column[s:], False])) for s in starts]
        assert all(run >= 3 or s + run == len(column) for s, run in zip(starts, runs, strict=True))


def test_noise_and_bias_are_in_deviations_of_the_observation() -> None:
    clean = np.array([[i, 10 * i] for i in range(13)], float)
    biased = np.array(lived("observation_bias", 2.0)[0]) - clean
    assert biased[:, 1] == pytest.approx(10 * biased[:, 0])
    spread = np.std(np.arange(13))  # every episode shows each number once
    assert biased[0, 0] == pytest.approx(2.0 * spread, rel=0.02)
    noisy = [np.array(lived("observation_noise", 1.0, seed=s)[0]) - clean for s in range(60)]
    assert np.std(noisy, axis=(0, 1)) == pytest.approx([spread, 10 * spread], rel=0.06)


def test_noise_on_actions_is_in_halves_of_the_range_and_clipped() -> None:
    rewards = np.array([lived("action_noise", 1.0, seed=s)[1] for s in range(60)])
    assert np.abs(rewards).max() <= 1.0
    assert 0.2 < (np.abs(rewards) == 1.0).mean() < 0.6


def test_choices_are_replaced() -> None:
    clean = [float(i % 3) for i in range(1, 13)]
    taken = np.array([lived("action_noise", 1.0, "FakeChoices-v0", s)[1] for s in range(60)])
    assert (taken != clean).mean() == pytest.approx(2 / 3, abs=0.06)
    seen = np.array(
        [firsts(lived("observation_noise", 0.5, "FakeChoices-v0", s)[0]) for s in range(60)]
    )
    assert (seen != np.arange(13)).mean() == pytest.approx(0.5 * 49 / 50, abs=0.06)


def test_it_repeats_with_the_seed_and_not_without() -> None:
    one, two, other = (lived("observation_noise", 1.0, seed=s)[0] for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)

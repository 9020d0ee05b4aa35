"""The probe finds the strategy that holds, and no other."""

from __future__ import annotations

import random
import time
from typing import Any

import fakes
import gymnasium
import numpy as np
import pytest

from rl_lab.states import StateMismatch, decode, encode, strategies
from rl_lab.states.probing import Verdict, probe


class Drawn(fakes.Countdown):
    """Observations come from the environment's own generator."""

    def _observation(self) -> np.ndarray:
        return self.np_random.normal(size=2).astype(np.float32)


class Hidden(Drawn):
    """Keeps its place in a closure, which no attribute shows; a reset begins anew."""

    def reset(self, **keywords: Any) -> Any:
        place = [0]

        def advance() -> int:
            place[0] += 1
            return place[0]

        self._advance = advance
        return super().reset(**keywords)

    def step(self, action: Any) -> Any:
        observation, _, terminated, truncated, info = super().step(action)
        return observation, float(self._advance()), terminated, truncated, info


class Worn(fakes.Countdown):
    """Every second reset of an object is different, where no attribute shows it."""

    def __init__(self) -> None:
        super().__init__()
        resets = [0]

        def count() -> int:
            resets[0] += 1
            return resets[0]

        self._count = count

    def reset(self, **keywords: Any) -> Any:
        parity = self._count() % 2
        self._parity = lambda: parity
        return super().reset(**keywords)

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward + self._parity(), terminated, truncated, info


class Clock(fakes.Countdown):
    """Looks at the clock."""

    def step(self, action: Any) -> Any:
        observation, _, terminated, truncated, info = super().step(action)
        return observation, float(time.perf_counter_ns()), terminated, truncated, info


class Broken(fakes.Countdown):
    def step(self, action: Any) -> Any:
        raise RuntimeError("the motor is on fire")


@pytest.mark.parametrize(
    ("kind", "strategy", "exact"),
    [
        (fakes.Countdown, "snapshot", True),
        (fakes.Masked, "snapshot", True),
        (Drawn, "snapshot", True),
        (Hidden, "replay", True),
        (Worn, "barrier", True),
        (Clock, "reset", False),
        (Broken, "reset", False),
    ],
)
def test_the_first_strategy_that_holds(kind: Any, strategy: str, exact: bool) -> None:
    verdict = probe(kind)
    assert (verdict.strategy, verdict.exact) == (strategy, exact)
    assert bool(verdict.reasons) == (strategy != "snapshot")


def test_failing_is_told_apart_from_not_repeating_itself() -> None:
    assert probe(Broken).fails
    assert not probe(Clock).fails
    assert not probe(Worn).fails


REAL = {
    "CartPole-v1": "snapshot",
    "Acrobot-v1": "snapshot",
    "Pendulum-v1": "snapshot",
    "MountainCar-v0": "snapshot",
    "MountainCarContinuous-v0": "snapshot",
    "HalfCheetah-v5": "snapshot",
    "Hopper-v5": "snapshot",
    "Walker2d-v5": "snapshot",
    # Their rewards read what the last step derived.
    "Ant-v5": "snapshot",
    "Humanoid-v5": "snapshot",
    "LunarLander-v3": "replay",
    "LunarLanderContinuous-v3": "replay",
    # Its physics world outlives a reset.
    "BipedalWalker-v3": "barrier",
}
NEEDS = {"LunarLander": "Box2D", "BipedalWalker": "Box2D", "-v5": "mujoco"}


@pytest.mark.parametrize("environment", REAL)
def test_real_environments(environment: str) -> None:
    for part, package in NEEDS.items():
        if part in environment:
            pytest.importorskip(package, reason=f"{environment} needs {package}")
    verdict = probe(lambda: gymnasium.make(environment))
    assert (verdict.strategy, verdict.exact) == (REAL[environment], True)


def test_the_probe_leaves_the_random_streams_alone() -> None:
    random.seed(1)
    np.random.seed(2)
    before = random.getstate(), np.random.get_state()[1].tolist()
    assert probe(fakes.Countdown) == Verdict("snapshot", True, ())
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_what_begins_anew_begins_in_a_fresh_environment() -> None:
    make = strategies.prepared(Worn, strategies.BARRIER)
    one, two = make(), make()
    one.reset(seed=7)
    two.reset(seed=8)  # what `learn` does before anything is restored
    arrays: dict[str, np.ndarray] = {}
    decode(encode(one, arrays, "env"), arrays, two)
    for _ in range(3):
        assert one.step(1)[1] == two.step(1)[1]
    with pytest.raises(StateMismatch, match="middle of an episode"):
        decode(encode(one, arrays, "env"), arrays, two)


def test_a_replayed_episode_goes_on() -> None:
    make = strategies.prepared(Hidden, strategies.REPLAY)
    one, two = make(), make()
    one.reset(seed=7)
    one.step(1)
    arrays: dict[str, np.ndarray] = {}
    data = encode(one, arrays, "env")
    two.reset(seed=8)
    decode(data, arrays, two)
    for _ in range(2):
        a, b = one.step(0), two.step(0)
        np.testing.assert_array_equal(a[0], b[0])
        assert a[1:3] == b[1:3]

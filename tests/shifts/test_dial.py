"""Numbers drawn ahead are the numbers of one call after another."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import numpy as np
import pytest

from rl_lab.shifts import sensors
from rl_lab.shifts.dial import Dial
from rl_lab.states import decode, encode

SCALE = np.array([0.5, 2.0, 3.0])


class Still(gymnasium.Env[Any, Any]):
    """Shows the same three numbers for ever."""

    observation_space = gymnasium.spaces.Box(-9.0, 9.0, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    shown = np.array([0.1, -0.2, 0.3], np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return self.shown, {}

    def step(self, action: Any) -> Any:
        return self.shown, 0.0, False, False, {}


def dial(seed: int = 0) -> Dial:
    made = Dial(lambda: SCALE)
    made.renew(np.random.default_rng(seed))
    return made


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 5), (30, 40)])
def test_drawing_ahead_changes_no_number(shape: tuple[int, ...]) -> None:
    ahead, plain = dial(), np.random.default_rng(0)
    for _ in range(600):
        assert np.array_equal(ahead.normal(shape), plain.standard_normal(shape))


def test_another_generator_begins_at_once() -> None:
    ahead = dial()
    ahead.normal((3,))
    ahead.renew(np.random.default_rng(7))
    assert np.array_equal(ahead.normal((3,)), np.random.default_rng(7).standard_normal(3))


def test_what_was_drawn_ahead_is_saved_with_the_generator() -> None:
    ahead, plain = dial(), np.random.default_rng(0)
    for _ in range(200):
        ahead.normal((3,))
        plain.standard_normal(3)
    arrays: dict[str, np.ndarray] = {}
    data = json.loads(json.dumps(encode(ahead, arrays, "x")))
    later = decode(data, {k: v.copy() for k, v in arrays.items()}, dial(seed=1))
    for _ in range(200):
        assert np.array_equal(later.normal((3,)), plain.standard_normal(3))


def test_noise_is_drawn_step_by_step_whatever_the_magnitude_on_the_way() -> None:
    """At 0 nothing is drawn; another magnitude scales the very next number."""
    knob = dial()
    env = sensors.observation_noise(Still(), knob)
    env.reset()
    plain = np.random.default_rng(0)
    for step in range(400):
        knob.value = (0.0, 0.25, 0.25, 1.5)[step % 4]
        seen = env.step(0)[0]
        if knob.value == 0.0:
            assert seen is Still.shown
            continue
        noise = plain.standard_normal(3) * (knob.value * SCALE)
        assert seen.dtype == np.float32
        assert np.array_equal(seen, (Still.shown + noise).astype(np.float32))


def test_parts_of_a_dict_draw_in_turn() -> None:
    class Parts(Still):
        space = gymnasium.spaces.Box(-9.0, 9.0, (3,), np.float32)
        observation_space = gymnasium.spaces.Dict({"a": space, "b": space})

        def step(self, action: Any) -> Any:
            return {"a": self.shown, "b": self.shown}, 0.0, False, False, {}

    knob = Dial(lambda: {"a": SCALE, "b": SCALE})
    knob.value = 1.0
    env, plain = sensors.observation_noise(Parts(), knob), np.random.default_rng(0)
    for _ in range(300):
        seen = env.step(0)[0]
        for part in ("a", "b"):
            noise = plain.standard_normal(3) * SCALE
            assert np.array_equal(seen[part], (Still.shown + noise).astype(np.float32))

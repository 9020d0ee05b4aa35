from __future__ import annotations

from typing import Any

import gymnasium
import pytest
from fakes import Countdown

from rl_lab import shifts
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput

COUNTDOWN = EnvironmentRecipe("FakeCountdown-v0", {}, (), None)
CARTPOLE = EnvironmentRecipe("CartPole-v1", {}, (), None)


def declared(acts: dict[str, Any], environment: str = "any", **other: Any) -> shifts.Shift:
    fields = {
        "name": "tried",
        "environment": environment,
        "parameter": "scale",
        "unit": "",
        "path": "additive",
        "nominal": 1.0,
        "near": 1.5,
        "far": 2.0,
        "bounds": [0, None],
        "acts": acts,
        "source": "made up",
    }
    return shifts.from_data({**fields, **other})


def setting(*steps: dict[str, Any], **other: Any) -> shifts.Shift:
    return declared({"before_reset": list(steps)}, **other)


LONGER = setting(
    {"set": "length"},
    {"set": "polemass_length", "product": ["masspole", "length"]},
    environment="CartPole-v1",
    nominal=0.5,
    near=0.75,
    far=1.0,
    path="multiplicative",
)


def test_derived_values_follow() -> None:
    pole: Any = shifts.make(CARTPOLE, shifts.shifted(LONGER, 1.0)).unwrapped
    assert pole.length == 1.0
    assert pole.polemass_length == pole.masspole * pole.length


def test_a_shift_that_acts_once_costs_no_wrapper() -> None:
    bare = gymnasium.make("CartPole-v1", disable_env_checker=True)
    assert type(shifts.make(CARTPOLE, shifts.shifted(LONGER, 1.0))) is type(bare)


def test_a_class_constant_is_put_on_the_instance() -> None:
    shift = setting(
        {"scale": "AVAIL_TORQUE"}, environment="Acrobot-v1", near=0.75, far=0.5, path="additive"
    )
    arm: Any = shifts.make(
        EnvironmentRecipe("Acrobot-v1", {}, (), None), shifts.shifted(shift, 1.0)
    ).unwrapped
    assert arm.AVAIL_TORQUE == [-0.5, 0.0, 0.5]
    assert type(arm).AVAIL_TORQUE == [-1.0, 0.0, 1.0]


def test_two_shifts_at_once() -> None:
    heavier = declared(
        {"before_reset": [{"set": "gravity"}]}, name="heavier", nominal=9.8, near=12.0, far=19.6
    )
    context = shifts.combined(((LONGER, 1.0), (heavier, 0.5)))
    pole: Any = shifts.make(CARTPOLE, context).unwrapped
    assert (pole.length, pole.gravity) == (1.0, pytest.approx(14.7))
    assert context.key == ("tried+heavier@0.5", 1.0, "none")


def test_what_stands_at_0_is_left_out() -> None:
    assert shifts.combined(((LONGER, 0.0),)) == shifts.NOMINAL
    assert shifts.shifted(LONGER, 0.0).key == ("none", 0.0, "none")


class Rebuilt(Countdown):
    """Makes its parts anew at every reset but one, which it keeps."""

    class Part:
        def __init__(self) -> None:
            self.weight = 2.0

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.kept = self.Part()

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.parts = [self.Part(), self.Part()]
        return super().reset(seed=seed, options=options)


gymnasium.register("FakeRebuilt-v0", entry_point=Rebuilt)


def test_what_a_reset_makes_is_shifted_after_each_and_never_twice() -> None:
    shift = declared({"after_reset": [{"scale": "parts[*].weight"}, {"scale": "kept.weight"}]})
    env = shifts.make(EnvironmentRecipe("FakeRebuilt-v0", {}, (), None), shifts.shifted(shift, 1.0))
    world: Any = env.unwrapped
    for seed in range(3):
        env.reset(seed=seed)
        assert [part.weight for part in world.parts] == [4.0, 4.0]
        assert world.kept.weight == 4.0


def test_a_schedule_moves_the_value_within_the_episode_and_starts_anew() -> None:
    ramp = shifts.Schedule("ramp", "steps", 1, 4)
    env = shifts.make(COUNTDOWN, shifts.shifted(setting({"set": "scale"}), 1.0, ramp))
    for _ in range(2):
        env.reset(seed=4)  # seven steps
        rewards = [float(env.step(1)[1]) / (i + 1) for i in range(7)]
        assert rewards == [1.0, 1.0, 1.25, 1.5, 1.75, 2.0, 2.0]


def test_a_clock_of_episodes_counts_resets() -> None:
    step = shifts.Schedule("step", "episodes", 2, 0)
    env = shifts.make(COUNTDOWN, shifts.shifted(setting({"set": "scale"}), 1.0, step))
    first = []
    for _ in range(4):
        env.reset(seed=4)
        first.append(float(env.step(1)[1]))
    assert first == [1.0, 1.0, 2.0, 2.0]


# Bad input -------------------------------------------------------------------------------------


def complaint(shift: shifts.Shift, recipe: EnvironmentRecipe = COUNTDOWN) -> str:
    with pytest.raises(BadInput) as caught:
        shifts.require_effective(recipe, shifts.shifted(shift, 1.0))
    return str(caught.value)


def test_another_environment_is_refused() -> None:
    assert "is for CartPole-v1, not for FakeCountdown-v0" in complaint(LONGER)


def test_an_attribute_that_is_not_there_is_named_with_the_closest() -> None:
    text = complaint(setting({"set": "scala"}))
    assert "no attribute 'scala'" in text
    assert "Did you mean 'scale'?" in text


def test_another_nominal_value_is_refused() -> None:
    assert "scale is 1 (expected the nominal value 3)" in complaint(
        setting({"set": "scale"}, nominal=3.0, near=4.0, far=5.0)
    )


def test_a_shift_without_effect_stops_with_the_reason() -> None:
    inert = setting({"set": "LINK_LENGTH_2"}, environment="Acrobot-v1", unit="m")
    text = complaint(inert, EnvironmentRecipe("Acrobot-v1", {}, (), None))
    assert "shift tried in Acrobot-v1 changes nothing" in text


def test_a_shift_that_changes_the_observation_space_is_refused() -> None:
    bigger = declared(
        {"constructor": {"map_name": "8x8"}}, environment="FrozenLake-v1", parameter="map"
    )
    text = complaint(bigger, EnvironmentRecipe("FrozenLake-v1", {}, (), None))
    assert "changes the observation space of FrozenLake-v1" in text


@pytest.mark.parametrize("delta", [-0.1, 1.5, float("nan")])
def test_a_magnitude_out_of_range_is_refused(delta: float) -> None:
    with pytest.raises(BadInput, match=r"a magnitude in \[0, 1\]"):
        shifts.shifted(LONGER, delta)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"far": -1.0}, "physically impossible"),
        ({"far": "x"}, "far='x'"),
        ({"near": 3.0}, "near on the way from nominal to far"),
        ({"path": "straight"}, "multiplicative or additive"),
        ({"path": "multiplicative", "nominal": 0.0}, "the same sign"),
        ({"bounds": [0]}, "lowest, highest"),
        ({"acts": {"before": [{"set": "scale"}]}}, "before_reset"),
        ({"acts": {"before_reset": [{"call": "close"}]}}, "the step"),
        ({"acts": {}}, "a mapping"),
        ({"derived": {}}, "Write acts"),
        ({"nearest": 1.0}, "shift.nearest"),
    ],
)
def test_a_bad_declaration_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        setting({"set": "scale"}, **change) if "acts" not in change else declared(**change)


@pytest.mark.parametrize("path", ["_left", "__class__.scale", "np_random", "spec.id", "scale["])
def test_what_is_private_or_no_number_cannot_be_reached(path: str) -> None:
    assert complaint(setting({"set": path}))

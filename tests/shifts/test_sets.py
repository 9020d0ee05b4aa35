from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rl_lab import cli, seeding, shifts
from rl_lab.cli import planning, shift_choice
from rl_lab.cli.options import Options
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput

CARTPOLE = EnvironmentRecipe("CartPole-v1", {}, (), None)
WORDS = ["env=CartPole-v1", "training.contexts=near"]


def catalogue(*names: str) -> tuple[shifts.Shift, ...]:
    return shift_choice.declared(list(names), "CartPole-v1", Options(), "shift")


def test_what_training_meets_can_be_drawn_again() -> None:
    drawn = shifts.drawn("near", catalogue("longer_pole", "shorter_pole", "observation_noise"))
    env = shifts.make_drawn(CARTPOLE, drawn)
    pole: Any = env.unwrapped
    met = []
    for i in range(40):
        env.reset(seed=7_000 if i == 0 else None)
        met.append(pole.length)
        assert pole.polemass_length == pole.masspole * pole.length
    again = drawn.contexts(40, shifts.drawn_from(7_000))
    expected = [
        shift.value(delta) if shift.parameter == "length" else 0.5
        for ((shift, delta),) in (context.parts for context in again)
    ]
    assert met == expected
    assert min(met) < 0.45 < 0.55 < max(met)
    assert min(met) >= 0.25
    assert max(met) <= 0.75


@pytest.mark.parametrize(("name", "values"), [("near", {1, 2, 3}), ("far", {4, 5, 6, 7, 8})])
def test_whole_values_are_drawn_as_such_and_evenly(name: str, values: set[int]) -> None:
    (delay,) = catalogue("any/action_delay")
    contexts = shifts.drawn(name, (delay,)).contexts(2_000, seeding.generator(0, "t"))
    # Exactly a whole number of the eight steps: one world has one name.
    assert {8 * c.delta for c in contexts} == values
    counts = [sum(delay.value(c.delta) == value for c in contexts) for value in values]
    assert min(counts) > 0.8 * 2_000 / len(values)


def test_whole_values_go_down_as_well() -> None:
    (delay,) = catalogue("any/action_delay")
    fewer = shifts.from_data({**delay.to_data(), "nominal": 8, "near": 5, "far": 0})
    assert [fewer.value(delta) for delta in (0.0, 0.01, 0.125, 0.3, 1.0)] == [8, 7, 7, 5, 0]


@pytest.mark.parametrize("name", ["near", "far"])
def test_a_range_is_filled_evenly_and_never_left(name: str) -> None:
    (longer,) = catalogue("longer_pole")
    drawn = shifts.drawn(name, (longer,))
    deltas = np.array([c.delta for c in drawn.contexts(2_000, seeding.generator(0, "t"))])
    low, high = (0.0, longer.near_delta) if name == "near" else (longer.near_delta, 1.0)
    assert low < deltas.min()
    assert deltas.max() <= high + 1e-6  # six digits
    assert deltas.mean() == pytest.approx((low + high) / 2, abs=0.02 * (high - low) * 2)


def test_drawn_contexts_read_back() -> None:
    drawn = shifts.drawn("far", catalogue("longer_pole", "action_delay"))
    assert shifts.drawn_from_data(drawn.to_data()) == drawn


def test_contexts_are_part_of_the_recipe() -> None:
    plans = [
        planning.plan(words, Options()).plan
        for words in (
            ["env=CartPole-v1"],
            WORDS,
            [*WORDS, "training.context_shifts=[longer_pole,any/observation_noise]"],
            [*WORDS, "training.context_shifts=[CartPole-v1/shorter_pole,CartPole-v1/longer_pole]"],
        )
    ]
    home, near, both, named = plans
    assert len({plan.recipe_hash for plan in (home, near, both)}) == 3
    assert near.recipe_hash == named.recipe_hash, "the headline by its names is the same recipe"
    assert home.world == shifts.NOMINAL
    env = near.make_env()
    env.reset(seed=0)
    assert env.unwrapped.length != 0.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["env=CartPole-v1", "training.contexts=nearby"], "one of near, far"),
        (["env=Blackjack-v1", "training.contexts=near"], "has no headline shift"),
        ([*WORDS, "training.context_shifts=any/action_gian"], "unknown shift"),
        ([*WORDS, "training.vectorization=native"], "made without the contexts"),
        (
            ["env=LunarLander-v3", "training.contexts=near", "training.context_shifts=wind"],
            "not at every episode",
        ),
    ],
)
def test_bad_contexts_are_refused(words: list[str], said: str) -> None:
    if "env=LunarLander-v3" in words:
        pytest.importorskip("Box2D", reason="LunarLander-v3 needs the extra 'box2d'")
    with pytest.raises(BadInput) as caught:
        planning.plan(words, Options())
    assert said in str(caught.value)


@pytest.mark.slow
def test_a_run_on_drawn_contexts_says_so_in_its_card(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *WORDS, "agent=a2c", "debug=smoke"]) == 0
    from rl_lab import frozen_policy, paths

    (card,) = tmp_path.rglob(f"policy/{paths.POLICY_CARD}")
    contexts = frozen_policy.read_card(card.parent).provenance["contexts"]
    headline = shifts.drawn("near", catalogue("shorter_pole", "longer_pole"))
    assert shifts.drawn_from_data(contexts) == headline

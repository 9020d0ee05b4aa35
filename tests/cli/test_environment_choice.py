"""Words that choose an environment: by its file, or by its id where it has none."""

from __future__ import annotations

import pytest

from rl_lab.cli import environment_choice, planning
from rl_lab.cli.options import Options

BY_ID = ["env=any", "env.id=CliffWalking-v1"]


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["env=CliffWalking-v1", "seed=3"], [*BY_ID, "seed=3"]),
        (["seed=3", "env=CartPole-v1", "threads=2"], ["seed=3", "env=CartPole-v1", "threads=2"]),
        # Of two the later holds, and what stands around them stays.
        (
            ["a=1", "env=FrozenLake-v1", "b=2", "env=CliffWalking-v1", "c=3"],
            ["a=1", "b=2", *BY_ID, "c=3"],
        ),
        (["env=CliffWalking-v1", "b=2", "env=CartPole-v1"], ["b=2", "env=CartPole-v1"]),
        (["env=CartPole-v1", "b=2", "env=CliffWalking-v1"], ["b=2", *BY_ID]),
    ],
)
def test_words_become_what_can_be_composed(words: list[str], read: list[str]) -> None:
    assert environment_choice.with_registered(words, Options()) == read


def test_the_later_of_two_environments_is_trained() -> None:
    words = ["env=CliffWalking-v1", "env=CartPole-v1", "agent=ppo"]
    assert planning.plan(words, Options()).plan.environment.id == "CartPole-v1"
    words = ["env=CartPole-v1", "env=CliffWalking-v1", "agent=ppo"]
    assert planning.plan(words, Options()).plan.environment.id == "CliffWalking-v1"

"""Which snapshot is the best is decided on whole episodes, or on as many steps as the file says."""

from __future__ import annotations

from fakes import always

from rl_lab.cli import planning
from rl_lab.cli.options import Options
from rl_lab.training import selecting
from rl_lab.training.plan import RunPlan

WORDS = ["env=FakeEndless-v0", "env.imports=[fakes]", "agent=ppo"]


def planned(*words: str) -> RunPlan:
    return planning.plan([*WORDS, *words], Options()).plan


def test_an_episode_without_an_end_has_the_length_that_the_configuration_says() -> None:
    plan = planned("training.selection_step_limit=7", "training.selection_episodes=2")
    _, length = selecting.mean_return(plan, always(1, "FakeEndless-v0"))
    assert length == 7


def test_another_limit_is_another_run_and_the_usual_one_keeps_its_name() -> None:
    usual = planned().recipe_hash
    assert planned("training.selection_step_limit=100_000").recipe_hash == usual
    assert planned("training.selection_step_limit=7").recipe_hash != usual
    # As runs were named before there was such a limit to choose.
    before = planning.plan(["env=CartPole-v1", "agent=ppo", "tuned=none"], Options()).plan
    assert before.recipe_hash == "f33e04f9"

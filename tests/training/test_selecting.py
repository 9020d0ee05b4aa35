"""Which snapshot is the best: what a selection plays, and what it leaves behind."""

from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path

import fakes
import pytest
from identical import run_in

from rl_lab import cli, paths, runs, seeding
from rl_lab.cli import planning, training_sections
from rl_lab.cli.options import Options
from rl_lab.training import selecting
from rl_lab.training.plan import RunPlan

WORDS = ["env=FakeEndless-v0", "env.imports=[fakes]", "agent=ppo"]
SHORT = ["train", "tuned=none", "monitoring=none", "logger=none", "training.selection_episodes=4"]
SHORT += ["training.steps=60", "training.selection_every_steps=30"]


def planned(*words: str) -> RunPlan:
    return planning.plan([*WORDS, *words], Options()).plan


def test_an_episode_without_an_end_has_the_length_that_the_configuration_says() -> None:
    plan = planned("training.selection_step_limit=7", "training.selection_episodes=2")
    found = selecting.played(plan, fakes.always(1, "FakeEndless-v0"))
    assert [episode.length for episode in found] == [7, 7]


def test_another_limit_is_another_run_and_the_usual_one_keeps_its_name() -> None:
    usual = planned().recipe_hash
    assert planned("training.selection_step_limit=100_000").recipe_hash == usual
    assert planned("training.selection_step_limit=7").recipe_hash != usual
    # As runs were named before there was such a limit to choose.
    before = planning.plan(["env=CartPole-v1", "agent=ppo", "tuned=none"], Options()).plan
    assert before.recipe_hash == "f33e04f9"


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ("device: cpu", "device: cuda"),
        ("parallel_updates: false", "parallel_updates: true"),
        ("log_info: []", "log_info: [x_position]"),
        ("selection_step_limit: 100_000", "selection_step_limit: 7"),
    ],
)
def test_another_default_is_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usual: str, other: str
) -> None:
    before = planned().recipe_hash
    key, _, value = usual.partition(": ")
    conf = shutil.copytree(paths.conf_dir(), tmp_path / "conf")
    text = (conf / "train.yaml").read_text()
    assert text.count(f"  {usual} ") == 1
    (conf / "train.yaml").write_text(text.replace(f"  {usual} ", f"  {other} "))
    monkeypatch.setattr(paths, "conf_dir", lambda: conf)
    training_sections.shipped.cache_clear()
    try:
        assert planned().recipe_hash != before
        assert planned(f"training.{key}={value}").recipe_hash == before
    finally:
        training_sections.shipped.cache_clear()


def test_every_episode_is_kept(tmp_path: Path) -> None:
    words = [*SHORT, "env=FakeCountdown-v0", "agent=a2c", f"output={tmp_path}"]
    assert cli.main(words) == 0
    points = runs.read(run_in(tmp_path))["selection"]
    assert [point["step"] for point in points] == [30, 60]
    seeds = seeding.selection_seeds(0, 4)
    for point in points:
        assert point["lengths"] == [3 + seed % 5 for seed in seeds]
        assert point["mean_return"] == pytest.approx(statistics.fmean(point["returns"]))
        most = [fakes.countdown_return(seed) for seed in seeds]
        assert all(0 <= one <= top for one, top in zip(point["returns"], most, strict=True))


def test_success_is_what_the_environment_calls_one(tmp_path: Path) -> None:
    words = [*SHORT, "env=FakeGoal-v0", "agent=td3", "agent.policy=MultiInputPolicy"]
    words += ["agent.learning_starts=20", "agent.policy_kwargs.net_arch=[8]"]
    assert cli.main([*words, f"output={tmp_path}"]) == 0
    lines = [json.loads(x) for x in (run_in(tmp_path) / "metrics.jsonl").read_text().splitlines()]
    rates = [line["eval/success_rate"] for line in lines if "eval/success_rate" in line]
    assert len(rates) == 2
    assert set(rates) <= {0.0, 0.25, 0.5, 0.75, 1.0}

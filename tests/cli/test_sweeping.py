"""Sweeps are planned in one go: the same words, folders and errors as one at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from rl_lab import paths
from rl_lab.cli import config, planning, sweeping
from rl_lab.cli.options import Options
from rl_lab.errors import BadInput

WORDS = [
    [],
    ["agent=dqn", "seed=3"],
    ["seed=3", "env=Pendulum-v1", "agent=sac", "tuned=none", "agent.gamma=0.9"],
    ["agent.policy_kwargs.net_arch=[8,8]", "agent.policy_kwargs.net_arch=[4]", "seed=1"],
    ["agent.policy_kwargs.net_arch={pi:[8],vf:[4]}", "experiment=demo"],
    ["seed=1", "++env.kwargs.a=1", "env.kwargs.a=2", "++env.kwargs.b=3", "agent.gamma=1"],
    ["~env.anchors", "debug=smoke", "training.steps=7"],
    ["agent.learning_rate={schedule:linear,start:0.1,end:0}", "agent=a2c"],
    ["agent.learning_rate=0.5", "agent.learning_rate=null", "output='a b'"],
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_composing_again_is_as_hydra_composes(words: list[str]) -> None:
    with initialize_config_dir(str(paths.conf_dir()), version_base="1.3"):
        expected = OmegaConf.to_container(hydra_compose("train", words), resolve=True)
    composer = config.Composer("train", Options())
    composer.compose(["agent.gamma=0.5"])
    for _ in range(2):
        assert composer.compose(words) == expected


def test_a_second_composition_finds_the_same_faults() -> None:
    composer = config.Composer("train", Options())
    composer.compose([])
    for words, said in (
        (["agent.gama=1"], "agent.gamma"),
        (["seed=1", "sed=1"], "seed"),
        (["agent=pppo"], "ppo"),
    ):
        with pytest.raises(BadInput, match=f"Did you mean '{said}'"):
            composer.compose(words)


def one_at_a_time(combinations: list[list[str]]) -> list[tuple[Path, int, int]]:
    plans = [planning.plan(words, Options()).plan for words in combinations]
    return [(p.folder, p.threads, p.training.steps) for p in plans]


@pytest.mark.parametrize(
    "words",
    [
        ["env=Taxi-v4", "agent=dqn"],  # an environment without a file of its own
        ["env=Taxi-v4", "agent=dqn", "env.kwargs.is_rainy=true"],
        ["env=CartPole-v1", "agent=fast_ppo"],  # takes the tuned settings of its twin
    ],
    ids=" ".join,
)
def test_a_job_is_the_run_that_was_planned(words: list[str]) -> None:
    (job,) = sweeping.plan([words], Options()).jobs
    assert planning.plan(job.words[1:], Options()).plan.folder == job.folder
    assert list(job.words[1:]) == words


def test_many_seeds_are_the_runs_that_each_command_names() -> None:
    words = ["agent=ppo,dqn", "seed=range(4)", "training.steps=70"]
    combinations = config.expand(words, multirun=True)
    jobs = sweeping.plan(combinations, Options()).jobs
    assert [(j.folder, j.threads, j.steps) for j in jobs] == one_at_a_time(combinations)
    assert [j.name.split()[-1] for j in jobs] == ["0", "1", "2", "3"] * 2
    for job, combination in zip(jobs, combinations, strict=True):
        again = planning.plan(job.words[1:], Options()).plan
        assert again.folder == planning.plan(combination, Options()).plan.folder


def test_a_seed_that_steers_other_values_is_planned_each_time(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\ntraining:\n  steps: ${seed}0\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    options = Options(config_dir=tmp_path)
    combinations = config.expand(["experiment=mine", "seed=1,2,3"], multirun=True)
    with pytest.raises(BadInput, match="steps"):  # text, not a number, until it is decoded
        sweeping.plan(combinations, options)
    text = text.replace("${seed}0", "${oc.decode:${seed}0}")
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    jobs = sweeping.plan(combinations, options).jobs
    assert [job.steps for job in jobs] == [10, 20, 30]
    assert len({job.folder.parent for job in jobs}) == 3
    assert jobs[0].words[-2:] == ("--config-dir", str(tmp_path))


@pytest.mark.parametrize("seeds", ["1,1", "01,1", "0,1,-2", "0,x", "0,99999999999"])
def test_a_bad_or_repeated_seed_is_refused(seeds: str) -> None:
    with pytest.raises(BadInput):
        sweeping.plan(config.expand([f"seed={seeds}"], multirun=True), Options())


@pytest.mark.parametrize("verb", ["train", "tune", "evaluate", "adapt"])
def test_a_verb_has_the_keys_that_its_file_says(verb: str) -> None:
    """Where that holds, no second composition is needed to find an unknown key."""
    with initialize_config_dir(str(paths.conf_dir()), version_base="1.3"):
        assert set(map(str, hydra_compose(verb))) == config._usual_keys(verb)


def test_jobs_of_a_block_can_share_all_that_is_slow_to_import() -> None:
    """A thread among them would forbid the fork, and each job would import for itself."""
    (job,) = sweeping.plan([["env=CartPole-v1", "agent=ppo"]], Options()).jobs
    code = (
        "import json, sys\n"
        "from rl_lab.cli.launching import block\n"
        "assert block._preload(json.loads(sys.argv[1]))\n"
        "before = set(sys.modules)\n"
        "assert block._threads() in (0, 1), block._threads()\n"
        "from rl_lab.cli.verbs import train\n"
        "assert {'torch._dynamo', 'stable_baselines3.ppo', 'rl_lab_agents.standard'} <= before\n"
    )
    words = [sys.executable, "-c", code, json.dumps(job.preload)]
    subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

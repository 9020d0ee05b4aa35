"""`rl-lab tune` as a user types it: bad input in one line, and one small search to its end."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import gymnasium
import pytest

from rl_lab import cli, seeding
from rl_lab.frozen_policy import load_policy

pytest.importorskip("optuna", reason="needs the extra `tune`")

from rl_lab.cli import tuning, tuning_worker
from rl_lab.cli.options import Options

SMALL = (
    "tune env=CartPole-v1 agent=a2c tuned=none training.steps=300 trials=3 seeds=2 checks=2 "
    "winner_seeds=2 episodes=2 workers=2 pruner=none"
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def complaint(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(words.split()) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("tune sampler=tpee", "Did you mean 'tpe'?"),
        ("tune pruner=medan", "Did you mean 'median'?"),
        ("tune aggregate=max", "one of mean, median, worst"),
        ("tune objectives=[speed]", "[reward] or [reward,latency]"),
        ("tune trials=0", "trials=0"),
        ("tune trials=100_001", "at most 100000"),
        ("tune seeds=1001", "at most 1000"),
        ("tune space=nope", "no search space 'nope'"),
        ("tune agent=pppo", "Did you mean 'ppo'?"),
        ("tune trails=3", "unknown key 'trails'"),
        ("tune env=Pendulum-v1 agent=dqn", "dqn cannot act in Pendulum-v1"),
        ("tune launcher=slrm", "Did you mean 'slurm'?"),
        ("tune study=../x", "study=../x"),
        ("tune storage=nonsense", "cannot be used"),
        ("tune storage=postgresql+psycopg://me:secret@127.0.0.1:1/x", "me@127.0.0.1:1/x cannot be"),
        ("tune to=x", "holds no study"),
    ],
)
def test_one_line_and_nothing_done(
    words: str, said: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    line = complaint(words, capsys)
    assert said in line
    assert "secret" not in line
    assert list(empty_folder.iterdir()) == []


def test_a_launcher_that_is_not_there_is_refused_before_the_study_is_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, empty_folder: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    assert "this machine has no sbatch" in complaint("tune launcher=slurm", capsys)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert 'pip install "rl-lab[ray]"' in complaint("tune launcher=ray", capsys)
    assert list(empty_folder.iterdir()) == []


def test_a_database_of_something_else_is_left_as_it_is(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    with sqlite3.connect("theirs.db") as theirs:
        theirs.execute("create table patients (name text)")
    before = Path("theirs.db").read_bytes()
    line = complaint("tune storage=sqlite:///theirs.db", capsys)
    assert "sqlite:///theirs.db holds tables of something else: patients" in line
    assert Path("theirs.db").read_bytes() == before
    assert [path.name for path in empty_folder.iterdir()] == ["theirs.db"]


def test_a_refused_search_leaves_no_new_database(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, empty_folder: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    words = "tune storage=sqlite:///new.db study=x launcher=slurm"
    assert "this machine has no sbatch" in complaint(words, capsys)
    assert list(empty_folder.iterdir()) == []
    study = empty_folder / "outputs" / "tune" / "CartPole-v1" / "x"
    study.mkdir(parents=True)  # as where a study of that name was in another database
    assert "this machine has no sbatch" in complaint(words, capsys)
    assert [path.name for path in empty_folder.iterdir()] == ["outputs"]
    assert list(study.iterdir()) == []


def test_another_space_than_the_studys_is_refused_and_loses_nothing(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    space = empty_folder / "mine" / "search" / "a2c.yaml"
    space.parent.mkdir(parents=True)
    space.write_text("space:\n  agent.gamma: {low: 0.9, high: 0.99}\n")
    words = "tune env=CartPole-v1 agent=a2c tuned=none study=x trials=1 --config-dir mine"
    options = Options(config_dir=empty_folder / "mine")
    study = tuning_worker.open_study(tuning.request(words.split()[1:-2], options))
    study.tell(study.ask(), 1.0)
    space.write_text("space:\n  agent.gamma: {low: 0.8, high: 0.99}\n")
    line = complaint(words, capsys)
    assert "was made with another search space: it differs in agent.gamma" in line
    assert "Choose another study=NAME." in line
    assert [trial.value for trial in study.get_trials()] == [1.0]


def test_a_range_that_the_agent_refuses_is_named(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    folder = empty_folder / "mine" / "search"
    folder.mkdir(parents=True)
    (folder / "ppo.yaml").write_text("space:\n  agent.batch_size: {low: -4, high: 8}\n")
    line = complaint("tune agent=ppo --config-dir mine", capsys)
    assert "agent.batch_size=-4 is refused" in line
    assert "Change agent.batch_size's range." in line
    assert [path.name for path in empty_folder.iterdir()] == ["mine"], "no study was made"
    (folder / "ppo.yaml").write_text("space:\n  agent.batchsize: {low: 4, high: 8}\n")
    line = complaint("tune agent=ppo --config-dir mine", capsys)
    assert "Did you mean 'agent.batch_size'?" in line


def test_an_end_is_of_the_one_parameter() -> None:
    end = tuning._End("agent.n_steps", 0)
    assert end.suggest_int("agent.n_steps", 1, 8) == 1
    assert end.suggest_int("agent.n_steps_more", 1, 8) == 8


def test_a_study_knows_what_its_words_resolved_to(empty_folder: Path) -> None:
    folder = empty_folder / "mine" / "tuned" / "CartPole-v1"
    folder.mkdir(parents=True)
    words = ["env=CartPole-v1", "agent=a2c", "tuned=CartPole-v1/a2c-x"]
    found = []
    for gamma in (0.9, 0.9, 0.8):
        text = f"# @package _global_\nagent:\n  settings: mine\n  gamma: {gamma}\n"
        (folder / "a2c-x.yaml").write_text(text)
        found.append(tuning.request(words, Options(config_dir=empty_folder / "mine")).facts)
    assert found[0] == found[1]
    assert [k for k in found[0] if found[0][k] != found[2][k]] == ["recipe"]


def test_a_trials_value_is_its_final_policys(empty_folder: Path) -> None:
    words = (
        "env=CartPole-v1 agent=a2c tuned=none training.steps=100 checks=3 agent.n_steps=1 "
        "training.n_envs=1 agent.learning_rate=0.05"
    )
    request = tuning.request(words.split(), Options())
    plan = request.plan({}, 0).plan
    assert cli.main(["train", *request.words, "seed=0"]) == 0
    card = json.loads((plan.folder / "run.json").read_text())
    assert [p["step"] for p in card["selection"]] == [33, 66, 99]
    policy, env = load_policy(plan.folder / "policy"), gymnasium.make("CartPole-v1")
    total = 0.0
    seeds = seeding.selection_seeds(0, plan.training.selection_episodes)
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        state, over = policy.reset(), False
        while not over:
            action, state = policy.act(observation, state)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
    assert tuning_worker._Training(request, {}, 0).value() == pytest.approx(total / len(seeds))


@pytest.mark.slow
def test_a_search_ends_with_a_proof_and_goes_on_when_asked_for_more(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    assert cli.main(SMALL.split()) == 0
    (path,) = empty_folder.rglob("study.json")
    study = json.loads(path.read_text())
    assert [t["state"] for t in study["trials"]] == ["complete"] * 3
    for trial in study["trials"]:
        returns = []
        for run in trial["runs"]:
            card = json.loads((path.parent / run / "run.json").read_text())
            returns.append(card["selection"][-1]["mean_return"])
        assert trial["returns"] == returns
        assert trial["objectives"] == [pytest.approx(sum(returns) / 2)]
    best = max(study["trials"], key=lambda t: t["objectives"][0])
    assert study["winner"]["trial"] == best["number"]
    scores = json.loads((path.parent / study["winner"]["evaluation"] / "scores.json").read_text())
    assert [c["training_seeds"] for c in scores["contestants"]] == [[1000, 1001]] * 2
    assert scores["protocol"]["evaluation_seeds"][0] >= 2_000_000_000
    assert (path.parent / "study.html").read_text().count("<svg") >= 1
    assert cli.main(SMALL.replace("trials=3", "trials=4").split()) == 0
    assert "3 of 4 trials finished" in capsys.readouterr().out
    assert cli.main([*SMALL.split(), "to=mine"]) == 0
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("next: rl-lab ")
    assert cli.main([*command.split(), "--cfg"]) == 0
    shown = capsys.readouterr().out
    again = json.loads(path.read_text())["trials"]
    best = max(again, key=lambda t: t["objectives"][0])
    assert f"learning_rate: {best['values']['agent.learning_rate']}" in shown

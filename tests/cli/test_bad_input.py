"""Every bad input: one line on stderr, exit code 2, no traceback, no half-made folder."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest
from fakes import always, saved

from rl_lab import cli, runs


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def complaint(words: str, capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    assert cli.main(words.split()) == code
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("rl-lab: ")
    return lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trian", "Did you mean 'train'?"),
        ("train --dbug", "Did you mean '--debug'?"),
        ("train env=CartPol-v1", "Did you mean 'CartPole-v1'?"),
        ("train agent=pppo", "Did you mean 'ppo'?"),
        ("train sed=3", "Did you mean 'seed'?"),
        ("train agent.lerning_rate=3", "Did you mean 'agent.learning_rate'?"),
        ("train training.stps=3", "Did you mean 'training.steps'?"),
        ("train experiment=demoo", "Did you mean 'demo'?"),
        ("train seed=-1", "a whole number from 0"),
        ("train seed=abc", "seed='abc' (expected a whole number)"),
        ("train training.steps=0", "training.steps=0 (expected a number above 0)"),
        ("train training.n_envs=0", "training.n_envs=0"),
        ("train threads=0", "threads=0"),
        ("train seed=0,1", "rl-lab train -m"),
        ("train -m seed=0,0", "are the same run"),
        ("train +foo=bar", "unknown key 'foo'"),
        ("train ~logger", "removed key 'logger'"),
        ("train env.id=Pendulum-v1", "Give env=Pendulum-v1"),
        ("train tuned=nope", "unknown tuned settings 'nope'"),
        ("train agent.policy_kwargs=5 debug=smoke", "agent.policy_kwargs=5"),
        ("train agent.ent_coef=abc debug=smoke", "agent.ent_coef='abc' (expected a number)"),
        ("train agent.n_steps=true debug=smoke", "agent.n_steps=True (expected a whole number)"),
        ("train logger.tensorboard=maybe", "true or false"),
        ("train training.selection_episodes=2000", "at most 1000"),
        ("train training.selection_step_limit=0", "training.selection_step_limit=0"),
        ("train output=", "output= is empty"),
        ("train agent=null", "does not compose"),
        ("train =3", "rl-lab"),
        ("train -m seed=0,1 launcher.jobs=0", "launcher.jobs=0"),
        ("train -m seed=0,1 launcher.block=0", "launcher.block=0"),
        ("train -m seed=0,1 launcher=slrm", "Did you mean 'slurm'?"),
        ("train -m seed=0,1 launcher.blok=2", "Did you mean 'launcher.block'?"),
        ("train agent=dqn env=Pendulum-v1", "dqn cannot act in Pendulum-v1"),
        ("train agent=sac env=CartPole-v1", "sac cannot act in CartPole-v1"),
        ("train env=CartPole-v1 +env.kwargs.gravty=3", "cannot be made"),
        ("train env=evil_module:Env-v0", "unknown environment"),
        ("train env.imports=[no_such_package]", "cannot be imported"),
        ("train env.wrappers=[{name:os.system}]", "wrapper 'os.system'"),
        ("train env=Blackjack-v1", "a space of the kind"),
        ("train --config-dir nowhere", "a folder with your configuration files"),
        ("evaluate", "nothing to evaluate"),
        ("evaluate runs=nowhere", "nowhere does not exist"),
        ("evaluate runs=.", "holds no runs"),
        ("evaluate runs=*/x", "matches nothing"),
        ("evaluate runs=. evaluaton.episodes=3", "Did you mean 'evaluation.episodes'?"),
        ("freeze run=nowhere to=x", "nowhere is not a run"),
        ("freeze to=x", "no run="),
        ("report evaluation=nowhere", "nowhere holds no evaluation"),
        ("report evalution=x", "Did you mean 'evaluation'?"),
        ("tensorboard nowhere", "no folder nowhere"),
        ("tensorboard . port=x", "port=x"),
        ("list nowhere", "no folder 'nowhere'"),
    ],
)
def test_one_line_and_nothing_done(
    words: str, said: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    assert said in complaint(words, capsys)
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize("words", ["report evaluation=e", "replay evaluation=e to=x.webp"])
def test_an_unfinished_evaluation_is_named_with_its_command(
    words: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    (empty_folder / "e").mkdir()
    command = "rl-lab evaluate runs=outputs/train name=e"
    (empty_folder / "e" / "plan.json").write_text(json.dumps({"command": command}))
    said = complaint(words, capsys)
    assert "is unfinished: it has no scores.json yet" in said
    assert said.endswith(f"The same command goes on where it was: {command}")


def sweep_complaint(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(f"train -m seed=0,1 debug=smoke {words}".split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_no_slurm_commands_on_this_machine(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, empty_folder: Path
) -> None:
    monkeypatch.setenv("PATH", str(empty_folder))
    assert "this machine has no sbatch" in sweep_complaint("launcher=slurm", capsys)


def test_an_unreachable_ray_cluster(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    words = "launcher=ray launcher.address=127.0.0.1:9"
    assert "no Ray cluster answers at" in sweep_complaint(words, capsys)


def test_a_launcher_without_its_extra_gives_the_install_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert 'pip install "rl-lab[ray]"' in sweep_complaint("launcher=ray", capsys)


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "sed=3", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_missing_extra_gives_the_install_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "Box2D", None)
    for name in [n for n in sys.modules if n.startswith("gymnasium.envs.box2d")]:
        monkeypatch.delitem(sys.modules, name)
    line = complaint("train env=LunarLander-v3", capsys)
    assert 'pip install "rl-lab[box2d]"' in line


def test_a_refused_hyperparameter_leaves_no_folder(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    assert "batch_size" in complaint("train agent.batch_size=-4 debug=smoke", capsys)
    assert list(empty_folder.iterdir()) == []


def test_an_unfinished_run_cannot_be_evaluated(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    (empty_folder / "run").mkdir()
    runs.write(empty_folder / "run", {"status": "running"})
    assert "is running" in complaint("evaluate runs=run", capsys)


def test_a_newer_run_is_refused(capsys: pytest.CaptureFixture[str], empty_folder: Path) -> None:
    (empty_folder / "run").mkdir()
    (empty_folder / "run" / "run.json").write_text(json.dumps({"format_version": 2}))
    assert "Update rl-lab" in complaint("evaluate runs=run", capsys)


@pytest.mark.parametrize("words", ["evaluation.episodes=0", "evaluation.workers=0"])
def test_counts_start_at_one(
    words: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    saved(always(1), empty_folder / "p")
    assert words in complaint(f"evaluate policies=[p] imports=[fakes] {words}", capsys)


def test_a_shift_for_another_environment_is_refused(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    saved(always(1), empty_folder / "p")
    line = complaint("evaluate policies=[p] imports=[fakes] shift=CartPole-v1/longer_pole", capsys)
    assert "is for CartPole-v1" in line
    assert not (empty_folder / "outputs").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("shift=any/observation_nose", ("unknown shift", "Did you mean 'any/observation_noise'?")),
        ("shift=observation_nose", ("unknown shift", "Did you mean 'observation_noise'?")),
        ("shift=[any/action_delay,action_delay]", ("each shift once",)),
        ("grid=[any/action_delay]", ("grid=[A,B]",)),
        ("shift=any/action_delay schedule=step schedule.start=-1", ("schedule.start=-1",)),
        ("shift=any/action_delay schedule=ramp schedule.span=0", ("schedule.span=0",)),
        ("shift=any/action_delay schedule=ramp schedule.delta=2", ("schedule.delta=2",)),
        ("shift=any/action_delay schedule=ramp schedule.clock=hours", ("steps, episodes",)),
        ("schedule=rampe", ("unknown schedule 'rampe'", "Did you mean 'ramp'?")),
        ("shift=any/weaker_actions", ("a gain on actions of Discrete(2)",)),
        ("shift=mujoco/heavier_body", ("no attribute 'model'",)),
    ],
)
def test_a_shift_that_cannot_be_is_refused(
    words: str, parts: tuple[str, ...], capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    saved(always(1), empty_folder / "p")
    line = complaint(f"evaluate policies=[p] imports=[fakes] {words}", capsys)
    assert all(part in line for part in parts), line
    assert not (empty_folder / "outputs").exists()


def test_seeds_that_were_trained_on_are_refused(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    saved(always(1, training_seed=1_999_999_990), empty_folder / "p")
    line = complaint("evaluate policies=[p] imports=[fakes] evaluation.episodes=5", capsys)
    assert "2000000000 to 2000000004" in line
    assert "evaluation.seed=" in line


def test_a_damaged_policy_is_named_and_the_exit_code_says_so(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    for name in ("good", "bad"):
        saved(always(1, agent=name), empty_folder / name)
    (empty_folder / "bad" / "policy.json").write_text("{}")
    words = "evaluate policies=[good,bad] imports=[fakes] evaluation=quick name=e"
    assert cli.main([*words.split(), "evaluation.speed.calls=0"]) == 1
    scores = json.loads((empty_folder / "outputs/evaluate/e/scores.json").read_text())
    assert [c["name"] for c in scores["contestants"]] == ["good"]
    assert [f["contestant"] for f in scores["failures"]] == ["bad"]
    assert "failed: bad seed unknown: " in capsys.readouterr().err
    assert "nothing to compare it with" in scores["verdict"]


def test_one_folder_is_evaluated_by_one_process(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    saved(always(1), empty_folder / "p")
    words = "evaluate policies=[p] imports=[fakes] evaluation=quick name=e evaluation.speed.calls=0"
    assert cli.main(words.split()) == 0
    capsys.readouterr()
    with runs.exclusive(empty_folder / "outputs" / "evaluate" / "e", "evaluating"):
        assert cli.main(words.split()) == 3
        (line,) = capsys.readouterr().err.splitlines()
        assert "another process is evaluating in" in line


@pytest.mark.parametrize("name", ["../x", "-x", "a b", ".."])
def test_a_name_that_is_no_file_name_is_refused(
    name: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    saved(always(1), empty_folder / "p")
    words = ["evaluate", "policies=[p]", "imports=[fakes]", f"name='{name}'"]
    assert cli.main(words) == 2
    assert "For example name=" in capsys.readouterr().err
    assert not (empty_folder / "outputs").exists()


FAULTS = [
    ("raise", "raised RuntimeError: the motor is on fire"),
    ("nan_observation", "NaN"),
    ("nan_reward", "returned the reward nan"),
    ("shape", "shape (3,) instead of (2,)"),
]


@pytest.mark.parametrize(("fault", "said"), FAULTS)
def test_a_bad_environment_is_named_in_training(
    fault: str, said: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    words = "train env=FakeFaulty-v0 env.imports=[fakes] debug=smoke seed=5"
    assert cli.main([*words.split(), f"+env.kwargs.fault={fault}"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert said in line
    assert "FakeFaulty-v0" in line
    assert "seed 5000, episode 1, step 2" in line
    (run,) = empty_folder.rglob("run.json")
    assert json.loads(run.read_text())["status"] == "failed"


@pytest.mark.parametrize("place", ["/proc/x", "/dev/full/x"])
def test_an_unwritable_output_is_refused(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    if not Path(place).parent.exists():
        pytest.skip(f"needs {Path(place).parent}")
    assert "cannot write to" in complaint(f"train output={place} debug=smoke", capsys)
    assert "cannot write to" in complaint(f"train -m seed=0,1 output={place} debug=smoke", capsys)


def test_a_port_that_is_taken_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["tensorboard", str(tmp_path), f"port={port}"]) == 2
    assert f"port={port} cannot be had" in capsys.readouterr().err

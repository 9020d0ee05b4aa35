"""A run that was killed and started again ends as one that was not."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from boards import steps_of
from identical import attempt, dying_at, require_identical, run_in
from stable_baselines3.common.monitor import Monitor

from rl_lab import checkpoints, cli, frozen_policy, runs
from rl_lab.checkpoints import writing
from rl_lab.tracking import MetricsLog
from rl_lab.training import keeper
from rl_lab.training.recorder import Recorder

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked processes")

SMALL = [
    "tuned=none",
    "monitoring=none",
    "agent.policy_kwargs.net_arch=[16]",
    "training.selection_episodes=1",
]
PPO = ["agent=ppo", "agent.n_steps=32", "agent.batch_size=32", "agent.n_epochs=1", *SMALL]
OFF = ["agent.learning_starts=50", "agent.batch_size=16", "agent.buffer_size=300", *SMALL]
EVERY = ["checkpoint.every_steps=64", "training.selection_every_steps=100"]
CARTPOLE = [*PPO, *EVERY, "env=CartPole-v1", "training.steps=320"]
LANDER = [*OFF, *EVERY, "agent=dqn", "env=LunarLander-v3", "training.steps=300"]
WALKER = [
    *OFF,
    EVERY[0],
    "training.selection_every_steps=0",
    "agent=td3",
    "env=BipedalWalker-v3",
    "training.steps=300",
]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CartPole without an interruption; in this process, which then has all imports."""
    output = tmp_path_factory.mktemp("straight")
    assert cli.main(["train", *CARTPOLE, f"output={output}"]) == 0
    return run_in(output)


KILLS: dict[str, Any] = {
    "before the first checkpoint": (Recorder, "boundary", 2),
    "between metrics and checkpoint": (MetricsLog, "append", 7),
    "while a checkpoint is written": (writing, "_same", 9),
    "before it is committed": (writing, "_make_way", 3),
    "after it is committed": (checkpoints, "prune", 3),
    "while the best policy is saved": (frozen_policy, "save", 3),
    "after the final checkpoint": (keeper.Keeper, "_prune", 5),
    "before the card says so": (runs, "write", 2),
}


@pytest.mark.parametrize("moment", KILLS)
def test_killed_at(moment: str, straight: Path, tmp_path: Path) -> None:
    words = [*CARTPOLE, f"output={tmp_path}"]
    assert attempt(words, lambda: dying_at(*KILLS[moment])) == -signal.SIGKILL
    assert attempt(words) == 0
    require_identical(run_in(tmp_path), straight)


def test_killed_over_and_over(straight: Path, tmp_path: Path) -> None:
    words = [*CARTPOLE, f"output={tmp_path}"]
    attempts = 1
    while attempt(words, lambda: dying_at(Recorder, "boundary", 4)) != 0:
        attempts += 1
        assert attempts < 20
    assert attempts > 3
    require_identical(run_in(tmp_path), straight)
    shown = steps_of(tmp_path)
    assert {steps[-1] for (_, tag), steps in shown.items() if tag.startswith("train/")} == {320}
    for curve, steps in shown.items():
        assert steps == sorted(set(steps)), curve


@pytest.mark.parametrize(("words", "boundary"), [(LANDER, 45), (WALKER, 170)])
def test_environments_that_cannot_be_copied(
    words: list[str], boundary: int, tmp_path: Path
) -> None:
    pytest.importorskip("Box2D", reason="the environments need Box2D")
    assert attempt([*words, f"output={tmp_path / 'a'}"]) == 0
    killed = [*words, f"output={tmp_path / 'b'}"]
    assert attempt(killed, lambda: dying_at(Recorder, "boundary", boundary)) == -signal.SIGKILL
    assert attempt(killed) == 0
    require_identical(run_in(tmp_path / "a"), run_in(tmp_path / "b"))
    card = runs.read(run_in(tmp_path / "b"))
    assert card["resume"]["level"] == "exact"
    assert card["resume"]["from_step"] > 0


@pytest.mark.parametrize(
    "numbers",
    [
        [signal.SIGINT],
        [signal.SIGUSR1],
        # A cluster tells every process of a job, and each hands it on.
        [signal.SIGUSR2, signal.SIGTERM, signal.SIGTERM],
    ],
)
def test_a_signal_loses_nothing(numbers: list[int], straight: Path, tmp_path: Path) -> None:
    words = [*CARTPOLE, f"output={tmp_path}"]

    def ask() -> None:
        for number in numbers:
            os.kill(os.getpid(), number)

    # In the middle of a rollout, which is no boundary.
    def arm() -> None:
        dying_at(Monitor, "step", 175, ask)

    assert attempt(words, arm) == 75
    run = run_in(tmp_path)
    assert runs.status(run) == "interrupted"
    found, skipped = checkpoints.newest(run / "checkpoints", {})
    assert skipped == []
    assert found is not None
    assert found.step == 192, "the next boundary"
    assert attempt(words) == 0
    require_identical(run, straight)


def test_a_signal_while_a_checkpoint_is_written(straight: Path, tmp_path: Path) -> None:
    words = [*CARTPOLE, f"output={tmp_path}"]

    def arm() -> None:
        dying_at(writing, "_make_way", 2, lambda: os.kill(os.getpid(), signal.SIGTERM))

    assert attempt(words, arm) == 75
    assert not list(tmp_path.rglob(".tmp-*"))
    assert attempt(words) == 0
    require_identical(run_in(tmp_path), straight)


def test_a_second_signal_stops_at_once_and_the_checkpoint_before_stands(
    straight: Path, tmp_path: Path
) -> None:
    words = [*CARTPOLE, f"output={tmp_path}"]

    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    assert attempt(words, lambda: dying_at(Monitor, "step", 210, twice)) == 75
    run = run_in(tmp_path)
    assert runs.status(run) == "interrupted"
    assert checkpoints.steps(run / "checkpoints")[-1] == 192
    assert attempt(words) == 0
    require_identical(run, straight)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    straight: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [*CARTPOLE, f"output={tmp_path}"]
    attempt(words, lambda: dying_at(Recorder, "boundary", 8))
    run = run_in(tmp_path)
    newest = checkpoints.steps(run / "checkpoints")[-1]
    with (run / "checkpoints" / f"step-{newest:09d}" / "arrays.safetensors").open("r+b") as file:
        file.truncate(100)
    assert cli.main(["train", *words]) == 0
    told = capfd.readouterr().err
    assert f"skipped step-{newest:09d}" in told
    assert "100 bytes in arrays.safetensors" in told
    assert f"continuing from step {newest - 64}" in told
    assert "resume: exact" in told
    require_identical(run, straight)
    assert (run / "checkpoints" / f"damaged-step-{newest:09d}-1").is_dir()


def test_no_whole_checkpoint_begins_anew(straight: Path, tmp_path: Path) -> None:
    words = [*CARTPOLE, f"output={tmp_path}"]
    attempt(words, lambda: dying_at(Recorder, "boundary", 7))
    for manifest in tmp_path.rglob("manifest.json"):
        manifest.unlink()
    assert attempt(words) == 0
    require_identical(run_in(tmp_path), straight)


def test_other_versions_are_said_aloud_and_remembered(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*CARTPOLE, f"output={tmp_path}"]
    attempt(words, lambda: dying_at(Recorder, "boundary", 7))
    from rl_lab import provenance

    versions = {**provenance.versions(), "torch": "99.0"}
    monkeypatch.setattr(provenance, "versions", lambda: versions)
    attempt(words, lambda: dying_at(Recorder, "boundary", 7))
    monkeypatch.undo()
    assert cli.main(["train", *words]) == 0
    told = capfd.readouterr().err
    assert "resume: equivalent, not exact" in told
    assert "and is 99.0" in told
    resume = runs.read(run_in(tmp_path))["resume"]
    assert resume["level"] == "equivalent"
    assert any("torch was" in reason for reason in resume["reasons"])


def test_another_rhythm_of_checkpoints_continues_the_run(straight: Path, tmp_path: Path) -> None:
    words = [*CARTPOLE, f"output={tmp_path}"]
    attempt(words, lambda: dying_at(Recorder, "boundary", 7))
    other = [w for w in CARTPOLE if not w.startswith("checkpoint")]
    rhythm = ["checkpoint.every_steps=100", "checkpoint.keep_last=1"]
    assert attempt([*other, *rhythm, f"output={tmp_path}"]) == 0
    require_identical(run_in(tmp_path), straight)


@pytest.mark.parametrize("change", ["training.steps=600", "training.n_envs=2", "threads=2"])
def test_what_changes_the_result_is_another_run(change: str, tmp_path: Path) -> None:
    words = [*CARTPOLE, f"output={tmp_path}"]
    attempt(words, lambda: dying_at(Recorder, "boundary", 7))
    first = run_in(tmp_path)
    attempt([*CARTPOLE, change, f"output={tmp_path}"], lambda: dying_at(Recorder, "boundary", 2))
    both = {card.parent for card in tmp_path.rglob("run.json")}
    assert len(both) == 2
    assert checkpoints.steps(first / "checkpoints"), "the first is as it was"


def test_the_best_snapshot_never_gets_worse(straight: Path, tmp_path: Path) -> None:
    words = [*CARTPOLE, f"output={tmp_path}"]
    attempt(words, lambda: dying_at(frozen_policy, "save", 5))
    run = run_in(tmp_path)
    # What a later, lost part of the training left there must not be taken for the best.
    shutil.rmtree(run / "best", ignore_errors=True)
    shutil.copytree(straight / "policy", run / "best")
    assert attempt(words) == 0
    require_identical(run, straight)
    points = runs.read(run)["selection"]
    best = max(point["mean_return"] for point in points)
    card = json.loads((run / "best" / "policy.json").read_text())
    assert card["steps"] == max(p["step"] for p in points if p["mean_return"] == best)


def test_a_callback_goes_on_counting(tmp_path: Path) -> None:
    words = [*CARTPOLE, "callback=stop_on_no_improvement", "training.log_episodes=true"]
    assert attempt([*words, f"output={tmp_path / 'a'}"]) == 0
    killed = [*words, f"output={tmp_path / 'b'}"]
    attempt(killed, lambda: dying_at(Recorder, "boundary", 9))
    assert attempt(killed) == 0
    require_identical(run_in(tmp_path / "a"), run_in(tmp_path / "b"))


NAMES = ["a space, ümläut-π 🙂 b=c", "n" * 200, "x/../y"]


@pytest.mark.parametrize("name", NAMES)
def test_folders_of_any_name(name: str, straight: Path, tmp_path: Path) -> None:
    words = [*CARTPOLE, f"output='{tmp_path / name}'"]
    attempt(words, lambda: dying_at(Recorder, "boundary", 9))
    assert attempt(words) == 0
    require_identical(run_in(tmp_path), straight)


def test_a_link_to_a_folder(straight: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    words = [*CARTPOLE, f"output={tmp_path / 'link'}"]
    attempt(words, lambda: dying_at(Recorder, "boundary", 9))
    assert attempt(words) == 0
    require_identical(run_in(tmp_path / "real"), straight)


def test_a_checkpoint_that_does_not_fit_on_the_disk_is_a_warning(
    straight: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    usage = shutil.disk_usage(tmp_path)
    left = iter([10, 10, *[usage.free] * 100])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=next(left)))
    assert cli.main(["train", *CARTPOLE, f"output={tmp_path}"]) == 0
    told = capfd.readouterr().err
    assert "warning: no checkpoint at step 64" in told
    assert "10 bytes are free" in told
    require_identical(run_in(tmp_path), straight)


def test_a_disk_that_stays_full_ends_the_run_with_the_last_checkpoint_whole(
    straight: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    usage = shutil.disk_usage(tmp_path)
    left = iter([usage.free, usage.free, 10, 10, 10])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=next(left)))
    words = [*CARTPOLE, f"output={tmp_path}"]
    assert cli.main(["train", *words]) == 1
    errors = [e for e in capfd.readouterr().err.splitlines() if e.startswith("rl-lab: cannot")]
    assert len(errors) == 1
    monkeypatch.undo()
    run = run_in(tmp_path)
    assert runs.status(run) == "failed"
    assert checkpoints.steps(run / "checkpoints") == [64, 128]
    assert attempt(words) == 0
    require_identical(run, straight)


def test_a_folder_that_cannot_be_written_to_is_one_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    if not Path("/proc/self").exists():
        pytest.skip("nothing can be made in /proc, by anyone; there is none here")
    assert cli.main(["train", *CARTPOLE, "output=/proc/nowhere"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "cannot write" in line

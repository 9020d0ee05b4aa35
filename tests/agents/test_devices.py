"""Where networks are trained is asked for, and what is not there is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from identical import run_in
from rl_lab_agents import devices
from rl_lab_agents.fast.ppo import FastPPO
from stable_baselines3 import PPO, SAC

from rl_lab import checkpoints, cli, frozen_policy, runs
from rl_lab.cli import planning
from rl_lab.cli.options import Options
from rl_lab.errors import BadInput

SHORT = ["tuned=none", "monitoring=none", "logger=none", "training.steps=64"]
SHORT += ["training.selection_episodes=1", "checkpoint.every_steps=32"]
ON = [*SHORT, "agent=a2c", "agent.n_steps=16"]
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")


def test_the_cpu_is_always_there() -> None:
    assert devices.require("cpu", PPO) == "cpu"


@pytest.mark.parametrize("word", ["gpu", "cuda:77", "meta", ""])
def test_what_is_no_device_is_refused(word: str) -> None:
    with pytest.raises(BadInput, match=f"training.device={word}"):
        devices.require(word, SAC)


@NO_GPU
def test_a_missing_gpu_is_one_line_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [*ON, "training.device=cuda", f"output={tmp_path / 'new'}"]
    assert cli.main(["train", *words]) == 2
    (error,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("rl-lab:")]
    assert "training.device=cuda" in error
    assert not (tmp_path / "new").exists()


def test_agents_that_are_compiled_for_the_cpu_say_so() -> None:
    assert devices.require("cpu", FastPPO) == "cpu"
    with pytest.raises(BadInput, match="cuda with FastPPO"):
        devices.require("cuda", FastPPO)


def test_another_device_is_another_run_and_the_cpu_is_what_runs_always_had() -> None:
    hashes = [
        planning.plan([*ON, *more], Options()).plan.recipe_hash
        for more in ([], ["training.device=cpu"], ["training.device=cuda"])
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_no_run_on_a_gpu_is_called_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # What the run says does not depend on the device being there.
    monkeypatch.setattr(devices, "require", lambda word, algorithm: "cpu")
    words = [*ON, "training.device=cuda", f"output={tmp_path}"]
    assert cli.main(["train", *words]) == 0
    told = capfd.readouterr().err
    assert "equivalent, not exact, as training.device=cuda need not add in one order" in told
    card = runs.read(run_in(tmp_path))
    assert (card["device"], card["resume"]["level"]) == ("cuda", "equivalent")
    (step,) = checkpoints.steps(run_in(tmp_path) / "checkpoints")
    manifest = checkpoints.final(run_in(tmp_path), step).manifest
    assert manifest["made_with"]["device"].startswith("cuda")


@GPU
@pytest.mark.parametrize("agent", ["ppo", "sac"])
def test_a_run_on_a_gpu_is_frozen_and_goes_on(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the callback leaves its mark
    env = "CartPole-v1" if agent == "ppo" else "Pendulum-v1"
    words = [*SHORT, f"env={env}", f"agent={agent}", "training.device=cuda", "training.steps=300"]
    words += ["agent.n_steps=32", "agent.batch_size=32"] if agent == "ppo" else []
    words += ["+callback.mine={_target_: fake_callbacks.InterruptOnce}", f"output={tmp_path}"]
    assert cli.main(["train", *words]) == 75
    assert cli.main(["train", *words]) == 0
    card = runs.read(run_in(tmp_path))
    assert card["resume"]["from_step"] >= 200
    assert [reason for reason in card["resume"]["reasons"] if "device was" in reason] == []
    frozen_policy.load_policy(
        run_in(tmp_path) / "policy"
    )  # every load reproduces its golden vectors

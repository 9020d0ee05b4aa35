"""Training runs end cleanly, however they end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rl_lab import cli, runs
from rl_lab.errors import BadInput


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rl_lab", "train", "training.steps=1_000_000", *words]
    return subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for_heartbeat(folder: Path) -> Path:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if found := list(folder.rglob("progress.json")):
            return found[0].parent
        time.sleep(0.05)
    raise AssertionError("the run never showed a sign of life")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_a_run_cleanly(number: int, tmp_path: Path) -> None:
    process = start(tmp_path)
    run = wait_for_heartbeat(tmp_path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert runs.status(run) == "interrupted"


def test_a_terminated_sweep_leaves_no_job_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rl_lab", "train", "-m", "seed=0,1", "launcher.jobs=2"]
    sweep = subprocess.Popen(
        [*command, "training.steps=1_000_000"],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for_heartbeat(tmp_path)
    sweep.send_signal(signal.SIGTERM)
    _, errors = sweep.communicate(timeout=120)
    assert sweep.returncode == 75, errors
    assert "Traceback" not in errors
    for run in tmp_path.rglob("run.json"):
        with runs.exclusive(run.parent, "training"):
            assert runs.status(run.parent) == "interrupted"


def test_two_processes_never_write_to_one_run(tmp_path: Path) -> None:
    process = start(tmp_path)
    try:
        wait_for_heartbeat(tmp_path)
        second = start(tmp_path)
        _, errors = second.communicate(timeout=120)
        assert second.returncode == 3
        assert "another process is training in" in errors
        assert process.poll() is None, "the first goes on undisturbed"
    finally:
        process.kill()
        process.communicate()


def test_a_killed_run_does_not_block_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(tmp_path, "agent=a2c", "training.steps=2_000", "training.n_envs=1")
    run = wait_for_heartbeat(tmp_path)
    process.kill()
    process.communicate()
    monkeypatch.chdir(tmp_path)
    words = "train training.steps=2_000 agent=a2c training.n_envs=1"
    assert cli.main(words.split()) == 0
    assert runs.status(run) == "complete"
    lines = (run / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == sorted(steps), "nothing of the killed attempt is left"


def test_a_disk_that_fills_up_is_one_line(tmp_path: Path) -> None:
    # No file may grow beyond 30 kB: the metrics reach that in the middle of the run.
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        "from rl_lab.cli import main\n"
        "sys.exit(main(['train', 'agent=ppo', 'training.selection_every_steps=0']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("step ")]
    errors = [line for line in said if not line.startswith("rl-lab: warning: no checkpoint")]
    assert len(errors) == 1, done.stderr
    assert "cannot write" in errors[0]
    (run,) = tmp_path.rglob("run.json")
    assert runs.status(run.parent) == "failed"


def card(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    runs.write(folder, {"status": "complete", **changes})
    return folder


def test_only_complete_runs_pass(tmp_path: Path) -> None:
    assert runs.require_complete(card(tmp_path / "a"))["status"] == "complete"
    with pytest.raises(BadInput, match="is failed"):
        runs.require_complete(card(tmp_path / "b", status="failed"))

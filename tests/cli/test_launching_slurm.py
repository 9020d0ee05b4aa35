"""What the queue says and what the files say, where the files come later; what sbatch is told."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rl_lab import paths
from rl_lab.cli import config
from rl_lab.cli.launching import Finished, Job, slurm
from rl_lab.cli.launching.tracking import cut
from rl_lab.errors import EXIT_DONE, EXIT_INTERRUPTED, BadInput


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> slurm.Slurm:
    """One whose queue is empty: all that it submitted has left."""
    monkeypatch.setattr(slurm, "_require_commands", lambda: None)
    monkeypatch.setattr(slurm, "_ASK_EVERY_S", 0.0)
    monkeypatch.setattr(
        slurm, "_command", lambda *words: subprocess.CompletedProcess(words, 0, "", "")
    )
    made = made_with(tmp_path)
    jobs = [Job((), tmp_path, tmp_path / "log.txt", name, 1, None, ()) for name in "ab"]
    (block,) = cut(jobs, 2, tmp_path)
    made._blocks["7_0"] = block
    return made


def made_with(folder: Path, **changes: Any) -> slurm.Slurm:
    """As the shipped file says, but for some settings."""
    shipped = config.read_yaml(paths.conf_dir() / "launcher" / "slurm.yaml")
    settings = {k: v for k, v in shipped.items() if k not in ("_target_", "name")}
    return slurm.Slurm(folder, **{**settings, **changes})


def ends(found: list[Finished]) -> dict[str, int | None]:
    return {done.job.name: done.code for done in found}


def test_a_result_that_is_seen_late_counts(launcher: slurm.Slurm) -> None:
    (block,) = launcher._blocks.values()
    block.results.write_text("0 0\n")
    assert ends(launcher.poll(0.0)) == {"a": 0}
    assert ends(launcher.poll(0.0)) == {}
    assert launcher.busy
    block.results.write_text("0 0\n1 1\n")
    assert ends(launcher.poll(0.0)) == {"b": 1}
    assert not launcher.busy


def test_what_never_comes_is_lost(launcher: slurm.Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ends(launcher.poll(0.0)) == {}
    monkeypatch.setattr(slurm, "_LAG_S", 0.0)
    assert ends(launcher.poll(0.0)) == {"a": None, "b": None}
    assert not launcher.busy


def submission(made: slurm.Slurm) -> list[str]:
    """The lines that sbatch reads for one block."""
    pytest.importorskip("submitit", reason="needs the extra `slurm`")
    return str(made._executor(1)._make_submission_file_text("true", "id")).splitlines()


def test_the_cluster_is_told_when_to_ask_for_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_require_commands", lambda: None)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    lines = submission(made_with(tmp_path, time_min=30, notice_s=240))
    assert "#SBATCH --time=30" in lines
    assert "#SBATCH --signal=USR2@240" in lines
    assert "#SBATCH --requeue" in lines


def test_a_notice_that_comes_before_the_start_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_require_commands", lambda: None)
    with pytest.raises(BadInput, match=r"launcher\.notice_s=90 with launcher\.time_min=1"):
        made_with(tmp_path, time_min=1)


@pytest.mark.parametrize(
    ("stopped", "state", "count", "requeued"),
    [
        (True, "RUNNING", "0", True),
        (True, "RUNNING", "2", False),  # launcher.restarts are used up
        (True, "COMPLETING", "0", False),  # scancel
        (False, "RUNNING", "0", False),  # all its jobs have ended
    ],
)
def test_who_goes_back_into_the_queue(
    stopped: bool,
    state: str,
    count: str,
    requeued: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The block's process gets the cluster's signal as this one does, as on a node."""
    commands: list[tuple[str, ...]] = []

    def answer(*words: str) -> subprocess.CompletedProcess[str]:
        commands.append(words)
        return subprocess.CompletedProcess(words, 0, f"{state}\n", "")

    class Block:
        """A block that its own signal stopped, before anybody here heard of one."""

        def __init__(self, *words: Any, **more: Any) -> None:
            self.returncode = EXIT_INTERRUPTED if stopped else EXIT_DONE
            self.stdin = io.StringIO()

        def wait(self) -> int:
            return self.returncode

    monkeypatch.setattr(slurm, "_command", answer)
    monkeypatch.setattr(slurm.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(slurm.node.subprocess, "Popen", Block)
    monkeypatch.setattr(slurm.signal, "signal", lambda *_: None)
    for name, value in {"ARRAY_JOB_ID": "7", "ARRAY_TASK_ID": "3", "RESTART_COUNT": count}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    slurm.on_node("{}", str(tmp_path), 1, 2)
    assert (("scontrol", "requeue", "7_3") in commands) is requeued

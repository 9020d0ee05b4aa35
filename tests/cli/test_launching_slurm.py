"""What the queue says and what the files say, where the files come later."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rl_lab.cli.launching import Finished, Job, slurm
from rl_lab.cli.launching.tracking import cut


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> slurm.Slurm:
    """One whose queue is empty: all that it submitted has left."""
    monkeypatch.setattr(slurm, "_require_commands", lambda: None)
    monkeypatch.setattr(slurm, "_ASK_EVERY_S", 0.0)
    monkeypatch.setattr(
        slurm, "_command", lambda *words: subprocess.CompletedProcess(words, 0, "", "")
    )
    made = slurm.Slurm(tmp_path, 2, None, 10, 0, [], {})
    jobs = [Job((), tmp_path, tmp_path / "log.txt", name, 1, None, ()) for name in "ab"]
    (block,) = cut(jobs, 2, tmp_path)
    made._blocks["7_0"] = block
    return made


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

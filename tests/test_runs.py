"""One writer per folder, whatever became of the last one."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rl_lab import runs
from rl_lab.errors import BadInput

fcntl = pytest.importorskip("fcntl", reason="file locks are tested where there are any")


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    first, second = runs.exclusive(tmp_path, "training"), runs.exclusive(tmp_path, "training")
    with first, pytest.raises(BadInput, match=f"process {os.getpid()}"), second:
        pass
    with runs.exclusive(tmp_path, "training"):
        pass


def dead_process() -> int:
    return int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))


def without_locks(*unused: object) -> None:
    raise OSError(errno.ENOLCK, "no locks here")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("locks", [True, False])
def test_what_a_dead_holder_left_is_no_obstacle(
    tmp_path: Path, locks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not locks:
        monkeypatch.setattr(fcntl, "flock", without_locks)
    note = {"pid": dead_process(), "boot": runs._boot()}
    (tmp_path / runs.LOCK).write_text(json.dumps(note))
    with runs.exclusive(tmp_path, "training"):
        pass


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_without_locks_a_living_holder_is_respected_until_the_next_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", without_locks)
    lock = tmp_path / runs.LOCK
    lock.write_text(json.dumps({"pid": os.getppid(), "boot": runs._boot()}))
    with pytest.raises(BadInput, match="another process"), runs.exclusive(tmp_path, "training"):
        pass
    lock.write_text(json.dumps({"pid": os.getppid(), "boot": "an earlier one"}))
    with runs.exclusive(tmp_path, "training"):
        pass


def test_a_lock_file_full_of_nonsense_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / runs.LOCK).write_text("[1, 2")
    with runs.exclusive(tmp_path, "training"):
        pass

"""Files are whole or absent, however the writer ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rl_lab import files
from rl_lab.errors import Failed

WRITER = """
import sys
from pathlib import Path
from rl_lab import files
path, number = Path(sys.argv[1]), 0
while True:
    number += 1
    files.write_json(path, {"number": number, "many": [number] * 200_000})
    print(number, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    for delay_s in (0.0, 0.003, 0.007, 0.011, 0.017):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay_s)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        data = json.loads(path.read_text())
        assert data["many"] == [data["number"]] * 200_000


def test_a_failed_write_keeps_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scores.json"
    files.write_json(path, {"a": 1})

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failed, match="No space left on device"):
        files.write_json(path, {"a": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["scores.json"]
    assert json.loads(path.read_text()) == {"a": 1}


def test_nan_is_written_as_null_and_infinity_not_at_all(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"x": [float("nan"), 1.5]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [None, 1.5]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "b.json", {"x": float("inf")})
    assert not (tmp_path / "b.json").exists()

"""What the README shows is what the lab understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from rl_lab import cli

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if line.startswith("rl-lab ")]


def words(line: str) -> list[str]:
    return shlex.split(line, comments=True)[1:]


def test_the_readme_shows_commands() -> None:
    assert len(LINES) >= 9


@pytest.mark.parametrize("line", LINES)
def test_each_command_composes(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if "LunarLander" in line:
        pytest.importorskip("Box2D", reason="LunarLander needs rl-lab[box2d]")
    assert cli.main([*words(line), "--cfg"]) == 0, capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_demo_is_what_the_makefile_runs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in LINES[:2]:
        assert line.removeprefix("rl-lab ") in makefile


def test_every_verb_is_in_the_table() -> None:
    readme = (ROOT / "README.md").read_text()
    for verb in cli.known_verbs():
        assert f"| `{verb}` |" in readme

"""What the container image is made with are the versions and the extras of the lab."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_torch_is_the_tested_one() -> None:
    (version,) = re.findall(r'"(torch==[^"]+)"', TEXT)
    assert version in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_its_extras_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    known = set(re.findall(r"^(\w+) = \[", section, re.MULTILINE))
    (asked,) = re.findall(r'"\.\[([^]]+)\]"', TEXT)
    assert set(asked.split(",")) <= known
    # All that trains, evaluates and shows; not what drives clusters or develops.
    assert known - set(asked.split(",")) == {"bench", "browser", "dev", "ray", "slurm"}


def test_it_does_not_run_as_root() -> None:
    users = re.findall(r"^USER (.+)$", TEXT, re.MULTILINE)
    assert users
    assert users[-1] not in ("root", "0")
    assert TEXT.rindex("\nUSER ") > TEXT.rindex("\nRUN "), "what is installed belongs to root"


def left_out(path: str, patterns: str) -> bool:
    """Whether Docker ignores a path: the last pattern that fits it, or a folder of it, decides."""
    parts = path.split("/")
    places = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    found = False
    for line in patterns.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        kept, pattern = pattern.startswith("!"), pattern.removeprefix("!").strip("/")
        if any(_expression(pattern).fullmatch(place) for place in places):
            found = not kept
    return found


def _expression(pattern: str) -> re.Pattern[str]:
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(known.get(piece, re.escape(piece)) for piece in pieces))


def needed() -> list[str]:
    """What the package is built from, and what the Dockerfile names."""
    single = ["pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "constraints.txt"]
    folders = [ROOT / name for name in ("rl_lab", "agents", "conf")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    made = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
    return single + [
        path.relative_to(ROOT).as_posix() for path in files if not made & set(path.parts)
    ]


def lost(patterns: str) -> list[str]:
    return [path for path in needed() if left_out(path, patterns)]


def test_what_it_copies_is_the_lab_without_the_heavy_folders() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    assert all((ROOT / path).is_file() for path in needed())
    assert lost(ignored) == []
    for path in (
        ".git/HEAD",
        ".venv/bin/python",
        "outputs/train/run.json",
        "dist/rl_lab.whl",
        "rl_lab/cli/__pycache__/main.pyc",
        "agents/.ruff_cache/x",
    ):
        assert left_out(path, ignored), path


@pytest.mark.parametrize(
    "line", ["conf", "conf/", "/conf", "**", "*", "agents/**", "**/*.yaml", "rl_lab/cli", "*.toml"]
)
def test_a_line_that_leaves_out_part_of_the_lab_is_seen(line: str) -> None:
    assert lost(f".git\n{line}\n")
    assert not lost(f"{line}\n!**\n")

"""What the container image is made with are the versions and the extras of the lab."""

from __future__ import annotations

import re
from pathlib import Path

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


def test_what_it_copies_leaves_the_heavy_folders_out() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "outputs"} <= set(ignored)
    assert not {"conf", "agents", "rl_lab", "constraints.txt", "README.md"} & set(ignored)

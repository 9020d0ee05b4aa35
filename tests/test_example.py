"""The example in `examples/own-environment`: installed, trained, evaluated; the lab as it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "examples" / "own-environment"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example's configuration, and its package installed beside it."""
    pytest.importorskip("hatchling", reason="builds the example's wheel")
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(SOURCE, folder / "example")
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    words += ["--no-index", "--target", str(folder / "site"), str(folder / "example")]
    subprocess.run([sys.executable, *words], check=True, timeout=120)
    return folder


def lab(place: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rl_lab", *words, "--config-dir", "example/conf"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place / "site")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_package_of_the_users_own_trains_and_is_evaluated(place: Path) -> None:
    out = lab(place, "train", "env=Corridor-v0", "agent=patient", "callback=enough")
    assert "tuned by hand" in out
    (card,) = place.glob("outputs/train/Corridor-v0/patient-*/seed_0/policy/policy.json")
    data = json.loads(card.read_text())
    assert data["algorithm"] == "my_lab.algorithm.Patient"
    assert data["provenance"]["policy_class"] == "NarrowPolicy"
    assert data["environment"]["wrappers"][0]["name"] == "my_lab.wrapper.Distance"
    words = ["runs=outputs/train/Corridor-v0", "imports=[my_lab]", "name=e"]
    lab(place, "evaluate", *words, "evaluation=quick", "evaluation.speed.calls=0")
    scores = json.loads((place / "outputs/evaluate/e/scores.json").read_text())
    # Ten at the door less one for each of three steps before it: the shortest way.
    assert scores["contestants"][0]["reward"]["mean"]["estimate"] == 7.0


def test_without_the_users_word_the_card_imports_nothing(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rl_lab", "evaluate", "runs=outputs/train/Corridor-v0", "name=f"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place / "site")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert "imports=[PACKAGE]" in done.stderr

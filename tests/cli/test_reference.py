"""Reference rows through the command line: opted into, in their own process, never at any price."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import always, saved

from rl_lab import cli


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("lab")
    words = f"train env=Pendulum-v1 agent=sac debug=smoke seed=0 output={output}"
    assert cli.main([*words.split(), "training.normalize_observation=true"]) == 0
    (card,) = output.rglob("run.json")
    return card.parent


def rows(folder: Path, place: str, *words: str) -> dict[str, Any]:
    command = f"evaluate {place} evaluation=quick evaluation.speed.calls=200 name=e shift=none"
    more = [f"output={folder}", "evaluation.speed.reference=true", "evaluation.episodes=1", *words]
    assert cli.main([*command.split(), *more]) == 0
    found = json.loads((folder / "evaluate" / "e" / "speed.json").read_text())
    return dict(next(iter(found["contestants"].values())))


def test_the_library_decides_as_the_frozen_policy_does(run: Path, tmp_path: Path) -> None:
    row = rows(tmp_path, f"runs={run}")["reference"]
    assert row["through"]["algorithm"] == "stable_baselines3.SAC"
    # With other weights, or without the normaliser's statistics, actions would differ.
    assert row["mismatch_rate"] == 0.0
    assert row["calls"] == 200
    assert (row["threads"], len(row["batches"])) == (1, 2)


def test_a_policy_without_its_run_has_a_reason(tmp_path: Path) -> None:
    saved(always(1), tmp_path / "p")
    row = rows(tmp_path, f"policies=[{tmp_path / 'p'}]", "imports=[fakes]")
    assert row["reference"] is None
    assert row["reference_reason"] == "the policy came without its run"


def test_the_best_snapshots_weights_are_not_kept(run: Path, tmp_path: Path) -> None:
    row = rows(tmp_path, f"runs={run}", "which=best")
    assert "final policy only" in row["reference_reason"]


def test_a_run_names_no_factory_of_its_own(run: Path, tmp_path: Path) -> None:
    path = run / "config.yaml"
    text = path.read_text()
    try:
        path.write_text(text.replace("rl_lab_agents.sb3.make", "os.system"))
        row = rows(tmp_path, f"runs={run}")
    finally:
        path.write_text(text)
    assert row["reference"] is None
    assert "'os.system'" in row["reference_reason"]

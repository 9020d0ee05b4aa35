from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from rl_lab import cli
from rl_lab.cli import live, sharding
from rl_lab.cli.launching import Finished, Job

ENVIRONMENTS = ("Acrobot-v1", "CartPole-v1", "MountainCar-v0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("suite")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for environment in ENVIRONMENTS:
            words = f"train env={environment} agent=a2c tuned=none debug=smoke training.steps=50"
            assert cli.main(words.split()) == 0
    return made


def test_three_environments_on_one_scale(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    words = "evaluate runs=outputs/train suite=true name=s evaluation=quick"
    assert cli.main([*words.split(), "evaluation.speed.calls=0", "shift=none"]) == 0
    place = folder / "outputs" / "evaluate" / "s"
    suite = json.loads((place / "suite.json").read_text())
    assert suite["environments"] == list(ENVIRONMENTS)
    (row,) = suite["contestants"]
    for environment in ENVIRONMENTS:
        scores = json.loads((place / environment / "scores.json").read_text())
        alone = scores["contestants"][0]["reward"]["score"]["estimate"]
        assert row["per_environment"][environment] == pytest.approx(alone)
    assert row["mean"]["estimate"] == pytest.approx(sum(row["per_environment"].values()) / 3)


def test_without_suite_they_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert cli.main(["evaluate", "runs=outputs/train", "name=refused"]) == 2
    assert "suite=true" in capsys.readouterr().err
    assert not (folder / "outputs" / "evaluate" / "refused").exists()


def test_one_environment_is_no_suite(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert cli.main(["evaluate", "runs=outputs/train/CartPole-v1", "suite=true", "name=n"]) == 2
    assert "a suite of 1 environments" in capsys.readouterr().err
    assert not (folder / "outputs" / "evaluate" / "n").exists()


def test_a_shards_progress_counts_the_episodes_of_every_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    told = {}

    def here(jobs: Sequence[Job], launcher: object) -> list[Finished]:
        for job in jobs:
            assert cli.main(list(job.words)) == 0
            told[job.name] = (live.heartbeat(job.folder) or {}, job.steps)
        return [Finished(job, 0) for job in jobs]

    monkeypatch.setattr(sharding.live, "run", here)
    words = "evaluate runs=outputs/train suite=true name=shared evaluation=quick shards=2"
    more = ("evaluation.speed.calls=0", "evaluation.episodes=15", "shift=none")
    assert cli.main([*words.split(), *more]) == 0
    # Of each of three environments 10 episodes in the first shard, 5 in the other.
    assert [(beat["step"], beat["steps"], steps) for beat, steps in told.values()] == [
        (30, 30, 30),
        (15, 15, 15),
    ]

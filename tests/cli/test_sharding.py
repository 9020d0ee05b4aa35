"""Episodes shared out as jobs: the same records, whoever ran them and whatever was cut short."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rl_lab import cli, records
from rl_lab.cli import sharding
from rl_lab.cli.launching import Job
from rl_lab.cli.verbs import evaluate
from rl_lab.errors import BadInput

POLICY = Path(__file__).parents[1] / "golden" / "frozen_policy_v1_cartpole"
NAME = json.loads((POLICY / "policy.json").read_text())["agent"]
WORDS = [
    *("evaluate", f"policies=['{POLICY}']", "evaluation=quick", "shift=longer_pole"),
    *("evaluation.episodes=12", "evaluation.speed.calls=0", "evaluation.clips=0"),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluated(*words: str) -> Path:
    assert cli.main([*WORDS, *words]) == 0
    return Path("outputs/evaluate") / words[0].partition("=")[2]


def test_shards_find_what_one_process_finds(capsys: pytest.CaptureFixture[str]) -> None:
    alone = (evaluated("name=alone") / "episodes.csv").read_bytes()
    shared = evaluated("name=shared", "shards=2", "launcher.jobs=2")
    assert (shared / "episodes.csv").read_bytes() == alone
    parts = sorted(p.name for p in (shared / "shards").iterdir())
    assert parts == ["0-of-2", "1-of-2"]
    assert "2 shards, 0 complete already" in capsys.readouterr().out
    # What another number of shards has done is not done again; what is lost is.
    (shared / "episodes.journal.csv").unlink()
    journal = shared / "shards" / "1-of-2" / "episodes.journal.csv"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))
    (shared / "episodes.csv").unlink()
    again = evaluated("name=shared", "shards=3", "launcher.jobs=2")
    assert "3 shards, 2 complete already" in capsys.readouterr().out
    assert (again / "episodes.csv").read_bytes() == alone


def test_a_shard_that_fails_costs_the_rest_nothing(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    blocker = here / "outputs/evaluate/shared/shards/1-of-2"
    blocker.parent.mkdir(parents=True)
    blocker.write_text("a file where a folder must be")
    words = [*WORDS, "name=shared", "shards=2", "launcher.jobs=2"]
    assert cli.main(words) == 1
    assert "failed: shard 1 of 2" in capsys.readouterr().err
    assert not (here / "outputs/evaluate/shared/scores.json").exists()
    blocker.unlink()
    assert cli.main(words) == 0
    assert "2 shards, 1 complete already" in capsys.readouterr().out


def test_a_damaged_policy_costs_its_own_episodes_in_every_shard(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    folders = [here / "policies" / name for name in ("whole", "cut", "changed")]
    for seed, folder in enumerate(folders):
        shutil.copytree(POLICY, folder)
        card = json.loads((folder / "policy.json").read_text())
        card.pop("card_sha256", None)
        (folder / "policy.json").write_text(json.dumps({**card, "training_seed": seed}))
    graph = (POLICY / "policy.onnx").read_bytes()
    (folders[1] / "policy.onnx").write_bytes(graph[: len(graph) // 2])
    (folders[2] / "policy.json").write_text("{}")
    given = ",".join(f"'{folder}'" for folder in folders)
    words = [*WORDS, f"policies=[{given}]", "name=x", "launcher.jobs=2"]
    # The one that cannot even be looked at is named by its folder.
    expected = [(str(folders[2]), -1), (NAME, 1)]
    for shards in ("shards=2", "shards=2", "shards=null"):
        assert cli.main([*words, shards]) == 1
        told = capsys.readouterr()
        scores = json.loads((here / "outputs/evaluate/x/scores.json").read_text())
        failures = {(f["contestant"], f["training_seed"]): f["message"] for f in scores["failures"]}
        assert sorted(failures) == sorted(expected)
        assert "this is not the file its card was written for" in failures[NAME, 1]
        assert f"{NAME} seed 1: " in told.err + told.out
        rows = records.read(here / "outputs/evaluate/x/episodes.csv")
        assert {row.training_seed for row in rows} == {0}
    (folders[1] / "policy.onnx").write_bytes(graph)
    assert cli.main([*words, "shards=2"]) == 1
    scores = json.loads((here / "outputs/evaluate/x/scores.json").read_text())
    assert [f["contestant"] for f in scores["failures"]] == [str(folders[2])]
    rows = records.read(here / "outputs/evaluate/x/episodes.csv")
    assert {row.training_seed for row in rows} == {0, 1}


def test_no_launcher_no_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    assert cli.main([*WORDS, "name=x", "shards=2", "launcher=slurm"]) == 2
    assert "this machine has no sbatch" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_a_shard_has_as_many_processes_as_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Job] = []
    monkeypatch.setattr(sharding.live, "run", lambda jobs, _: asked.extend(jobs) or [])
    assert cli.main([*WORDS, "name=x", "shards=2", "evaluation.workers=2"]) == 75
    said = "evaluation.workers says nothing of shards: each has shard_workers=1"
    assert capsys.readouterr().err.splitlines().count(said) == 1
    assert cli.main([*WORDS, "name=x", "shards=2", "shard_workers=3"]) == 75
    assert "evaluation.workers" not in capsys.readouterr().err
    assert [job.threads for job in asked] == [1, 1, 3, 3]
    told = [[w for w in job.words if "workers" in w] for job in asked]
    assert told == [["evaluation.workers=1"]] * 2 + [["evaluation.workers=3"]] * 2


def test_shards_leave_another_evaluation_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = evaluated("name=x")
    before = {path: path.read_bytes() for path in folder.glob("*") if path.is_file()}
    assert cli.main([*WORDS, "name=x", "evaluation.seed=1", "shards=2"]) == 2
    assert "holds another evaluation" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.glob("*") if path.is_file()} == before
    assert not (folder / "shards").exists()


def test_shards_that_were_never_put_together_are_not_taken_for_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main([*WORDS, "name=x", "shard=0/2"]) == 0
    journal = Path("outputs/evaluate/x/shards/0-of-2/episodes.journal.csv")
    before = journal.read_bytes()
    for more in (["shards=2"], ["shard=1/2"], []):
        assert cli.main([*WORDS, "name=x", "evaluation.step_limit=7", *more]) == 2
        assert "holds another evaluation" in capsys.readouterr().err
    assert journal.read_bytes() == before


def test_what_shards_said_before_is_forgotten_once_nothing_is_missing() -> None:
    assert cli.main([*WORDS, "name=x", "shard=0/1"]) == 0
    said = Path("outputs/evaluate/x/shards/0-of-1/failures.json")
    card = json.loads((POLICY / "policy.json").read_text())
    stale = {"contestant": card["agent"], "training_seed": card["training_seed"], "message": "m"}
    said.write_text(json.dumps([stale]))
    assert evaluated("name=x", "shards=1").joinpath("scores.json").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("shift=any/weaker_actions", "a gain on actions of Discrete(2)"),
        ("shift=any/weaker_actions schedule=step", "a gain on actions of Discrete(2)"),
        ("output=a_file/outputs", "cannot write to a_file"),
    ],
)
def test_bad_input_is_refused_before_the_first_job(
    words: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a_file").write_text("a file where a folder must be")
    monkeypatch.setattr(sharding.live, "run", lambda *_: pytest.fail("a job was started"))
    assert cli.main([*WORDS, *words.split(), "name=x", "shards=2"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("outputs/evaluate/x").exists()


def test_another_measurement_of_adaptations_is_refused_before_the_first_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise BadInput("other adaptations", "the same")

    monkeypatch.setattr(evaluate.adaptability, "prepare", refuse)
    monkeypatch.setattr(sharding.live, "run", lambda *_: pytest.fail("a job was started"))
    assert cli.main([*WORDS, "name=x", "shards=2"]) == 2
    assert "other adaptations" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("shards=0", "shards=0"),
        ("shards=2 shard_workers=0", "shard_workers=0"),
        ("launcher=ray", "launcher=ray without shards="),
        ("launcher=slrm shards=2", "Did you mean 'slurm'"),
        ("shard=2/2", "K from 0 to N - 1"),
        ("shard=x", "K from 0 to N - 1"),
    ],
)
def test_bad_words(words: str, said: str, capsys: pytest.CaptureFixture[str], here: Path) -> None:
    assert cli.main([*WORDS, *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert not (here / "outputs").exists()

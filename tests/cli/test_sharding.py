"""Episodes shared out as jobs: the same records, whoever ran them and whatever was cut short."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_lab import cli

POLICY = Path(__file__).parents[1] / "golden" / "frozen_policy_v1_cartpole"
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("shards=0", "shards=0"),
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

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rl_lab import records
from rl_lab.errors import BadInput
from rl_lab.records import EpisodeRecord


def record(seed: int, value: float = 0.1 + 0.2) -> EpisodeRecord:
    return EpisodeRecord("ppo", 0, "CartPole-v1", "none", 0.0, "none", seed, value, 7, True, False)


def test_floats_read_back_equal(tmp_path: Path) -> None:
    values = [0.1 + 0.2, -1e-300, 1e300, 3.0, 1 / 3]
    rows = [record(i, v) for i, v in enumerate(values)]
    records.write(tmp_path / "e.csv", rows)
    assert records.read(tmp_path / "e.csv") == rows


def test_order_does_not_matter() -> None:
    rows = [record(i) for i in range(20)]
    shuffled = random.Random(0).sample(rows, len(rows))
    assert records.to_csv(rows) == records.to_csv(shuffled)


def test_the_table_is_what_it_was() -> None:
    assert records.to_csv([record(5, 2.5)]) == (
        "contestant,training_seed,environment,shift,delta,schedule,evaluation_seed,episode_return,"
        "length,terminated,truncated\nppo,0,CartPole-v1,none,0.0,none,5,2.5,7,1,0\n"
    )


def test_a_journal_cut_anywhere_gives_its_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "j.csv"
    rows = [record(i) for i in range(3)]
    text = records.to_csv(rows).split("\n", 1)[1]
    for cut in range(len(text) + 1):
        path.write_text(text[:cut])
        assert records.read_journal(path) == rows[: text[:cut].count("\n")]


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="cannot read episode records"):
        records.read(tmp_path / "x.csv")

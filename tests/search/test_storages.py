"""Storages: refused in one line where they cannot be used, and then as they were before."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="needs the extra `tune`")

from studying import finished, opened, three_at_once  # noqa: E402

from rl_lab.errors import BadInput  # noqa: E402
from rl_lab.search import storages  # noqa: E402


def test_storages_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("not a database, but a text of some length " * 100)
    for url in (
        f"sqlite:///{tmp_path}/x.db",
        f"sqlite:///{tmp_path}/no/such/folder/x.db",
        "nonsense",
        "postgresql+psycopg://me:secret@127.0.0.1:1/x",
        "oracle://me:secret@host/x",  # whose driver is not installed
    ):
        with pytest.raises(BadInput) as caught:
            storages.storage(url, tmp_path)
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.expected
        assert caught.value.do
    (tmp_path / "study.journal").write_text("{]\n" * 3)
    with pytest.raises(BadInput, match="cannot be used"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "tables",
    [
        ["create table experiments (name text)", "create table alembic_version (version_num text)"],
        ["create table studies (patient text)"],
        ["create table studies (a)", "create table trials (b)", "create table version_info (c)"],
    ],
    ids=["another tool's", "one of the same name", "three of the same names"],
)
def test_a_database_of_something_else_is_left_as_it_is(tmp_path: Path, tables: list[str]) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as theirs:
        for table in tables:
            theirs.execute(table)
    before = path.read_bytes()
    with pytest.raises(BadInput, match="holds tables of something else: ") as caught:
        storages.storage(f"sqlite:///{path}", tmp_path)
    assert caught.value.do
    assert path.read_bytes() == before


def test_without_what_is_private_to_optuna_the_names_of_tables_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optuna.storages._rdb import models

    assert set(models.BaseModel.metadata.tables) <= storages._MADE
    monkeypatch.setitem(sys.modules, "optuna.storages._rdb.models", None)
    monkeypatch.delattr(optuna.storages._rdb, "models")
    for name, ours in (("studies", True), ("trial_values", True), ("patients", False)):
        path = tmp_path / f"{name}.db"
        with sqlite3.connect(path) as half_made:
            half_made.execute(f"create table {name} (study_id integer primary key)")
        if ours:
            storages.require_usable(f"sqlite:///{path}")
        else:
            with pytest.raises(BadInput, match="something else: patients"):
                storages.require_usable(f"sqlite:///{path}")


def test_tables_that_another_worker_is_making_are_ours(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as half_made:
        half_made.execute("create table studies (study_id integer primary key, study_name text)")
    assert finished(opened(tmp_path, f"sqlite:///{path}")) == 0


@pytest.mark.parametrize("url", [None, "sqlite:///{}/s.db", "sqlite:///file:{}/s.db?uri=true"])
def test_to_look_makes_nothing(tmp_path: Path, url: str | None) -> None:
    url = url and url.format(tmp_path)
    storages.require_usable(url)
    assert not storages.knows(url, tmp_path, "s")
    assert list(tmp_path.iterdir()) == []
    opened(tmp_path, url)
    storages.require_usable(url)
    assert storages.knows(url, tmp_path, "s")
    assert not storages.knows(url, tmp_path, "another")


def test_to_look_for_a_study_leaves_an_empty_database_empty(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    sqlite3.connect(path).close()
    assert not storages.knows(f"sqlite:///{path}", tmp_path, "s")
    assert path.read_bytes() == b""


@pytest.mark.parametrize("url", [None, "sqlite"])
def test_three_workers_on_a_new_storage_at_once(tmp_path: Path, url: str | None) -> None:
    url = url and f"sqlite:///{tmp_path}/s.db"
    assert three_at_once(tmp_path, url) == [0, 0, 0]
    assert finished(opened(tmp_path, url)) == 12

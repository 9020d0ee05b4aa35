"""Work in a folder that others may want, too."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch")

from rl_lab import runs
from rl_lab.errors import BadInput, Held
from rl_lab.training import carrying_out


def test_who_comes_second_leaves_the_firsts_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def second() -> None:
        carrying_out.alone(folder, "training", lambda _: None, lambda: None)

    def first() -> None:
        (folder / "checkpoint").write_text("precious")
        with pytest.raises(Held):
            second()

    carrying_out.alone(folder, "training", lambda _: None, first)
    assert (folder / "checkpoint").read_text() == "precious"


def test_who_makes_the_folder_and_loses_its_lock_leaves_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    exclusive = runs.exclusive

    def late(path: Path, doing: str) -> object:
        winner = exclusive(path, doing)
        winner.__enter__()  # another process takes the lock between folder and lock
        (path / "checkpoint").write_text("precious")
        held.append(winner)
        return exclusive(path, doing)

    held: list[object] = []
    monkeypatch.setattr(runs, "exclusive", late)
    with pytest.raises(Held):
        carrying_out.alone(folder, "training", lambda _: None, lambda: None)
    assert (folder / "checkpoint").read_text() == "precious"
    held[0].__exit__(None, None, None)  # type: ignore[attr-defined]


def test_what_comes_to_nothing_leaves_no_folder(tmp_path: Path) -> None:
    def refuse() -> None:
        raise BadInput("a", "b", "c")

    with pytest.raises(BadInput):
        carrying_out.alone(tmp_path / "outputs" / "run", "training", lambda _: None, refuse)
    assert not (tmp_path / "outputs").exists()

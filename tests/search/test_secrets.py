"""A database's password is in no print and on no command line, and workers have it all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rl_lab import cli
from rl_lab.search import secrets

URL = "postgresql+psycopg://me:secret@host:5432/lab"
SHOWN = "postgresql+psycopg://me@host:5432/lab"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, SHOWN),
        (SHOWN, SHOWN),
        ("postgresql://me:se@cr//et@host/lab", "postgresql://me@host/lab"),
        (
            "postgresql:///lab?host=/run&user=me&password=secret",
            "postgresql:///lab?host=/run&user=me",
        ),
        ("mysql://host/lab?password=secret&ssl=1", "mysql://host/lab?ssl=1"),
        ("sqlite:///folder/s.db", "sqlite:///folder/s.db"),
        ("nonsense", "nonsense"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert secrets.without_password(url) == shown
    assert secrets.without_password(shown) == shown


def test_words_are_shown_without_it() -> None:
    words = ["env=x", f"storage={URL}", "trials=3"]
    assert secrets.shown(words, URL) == ["env=x", f"storage={SHOWN}", "trials=3"]
    # A word that refers to a variable is shown as what it stands for: nodes may not have it.
    assert secrets.shown(["storage=${oc.env:DB}"], URL) == [f"storage={SHOWN}"]
    assert secrets.shown(["env=x"], None) == ["env=x"]


def test_what_is_lent_is_for_the_owner_and_for_the_same_address(tmp_path: Path) -> None:
    study = tmp_path / "study"
    with secrets.lent(URL, study) as name:
        (path,) = study.iterdir()
        assert path.name == name
        assert path.stat().st_mode & 0o777 == 0o600
        assert secrets.borrowed(SHOWN, study, name) == URL
        assert secrets.borrowed(SHOWN + "2", study, name) == SHOWN + "2"
        assert secrets.borrowed(SHOWN, tmp_path, name) == SHOWN
        assert secrets.borrowed(SHOWN, study, None) == SHOWN
        assert secrets.borrowed(None, study, name) is None
    assert list(study.iterdir()) == []
    assert secrets.borrowed(SHOWN, study, name) == SHOWN


def test_commands_on_one_study_take_nothing_from_each_other(tmp_path: Path) -> None:
    newer = URL.replace("secret", "newer")
    with secrets.lent(URL, tmp_path) as first:
        with secrets.lent(newer, tmp_path) as second:
            assert secrets.borrowed(SHOWN, tmp_path, second) == newer
            assert secrets.borrowed(SHOWN, tmp_path, first) == URL
        with secrets.lent(SHOWN, tmp_path) as nothing:  # ~/.pgpass has the password there
            assert nothing is None
            assert secrets.borrowed(SHOWN, tmp_path, nothing) == SHOWN
        assert secrets.borrowed(SHOWN, tmp_path, first) == URL, "the others have ended"


@pytest.mark.parametrize("url", [URL, SHOWN, None])
def test_nothing_stays_whatever_ends_the_search(tmp_path: Path, url: str | None) -> None:
    with pytest.raises(KeyboardInterrupt), secrets.lent(url, tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", [URL, SHOWN, None])
def test_what_a_killed_search_has_left_is_gone(tmp_path: Path, url: str | None) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from rl_lab.search import secrets\n"
        "held = secrets.lent(sys.argv[1], Path(sys.argv[2]))\n"
        "held.__enter__()\n"
        "os._exit(9)\n"
    )
    command = [sys.executable, "-c", code, URL, str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == 9
    (left,) = tmp_path.iterdir()
    assert left.read_text() == URL
    with secrets.lent(url, tmp_path):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_no_print_has_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDY_DB", URL)
    for word in (f"storage={URL}", "storage=${oc.env:STUDY_DB}"):
        assert cli.main(["tune", "env=CartPole-v1", word, "--cfg"]) == 0
        out = capsys.readouterr().out
        assert f"storage: {SHOWN}" in out
        assert "secret" not in out

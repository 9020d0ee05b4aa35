"""What `to=` asks for, said in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_lab.cli import destinations
from rl_lab.cli.destinations import Kind


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (None, Kind.UNSAID),
        ("-", Kind.TERMINAL),
        ("pictures", Kind.FOLDER),
        ("v1.2", Kind.FOLDER),  # it exists, so its dot begins no suffix
        ("v1.3", Kind.PICTURES),
        ("page.html", Kind.PLAYER),
        ("PAGE.HTML", Kind.PLAYER),
        ("episode.json", Kind.RECORDING),
        ("-.json", Kind.RECORDING),
        ("episode.webp", Kind.PICTURES),
        ("episode.txt", Kind.PICTURES),
    ],
)
def test_what_to_is(
    to: str | None, expected: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("v1.2").mkdir()
    assert destinations.kind(destinations.given({"to": to})) is expected

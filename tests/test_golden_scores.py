"""`scores.json` of format version 2: written as ever, and read as it was written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import golden_scores
import pytest

from rl_lab import scores_file
from rl_lab.comparison import card
from rl_lab.errors import BadInput
from rl_lab.reporting import page, stored

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "scores_v2" / "scores.json"


def differences(old: Any, new: Any, where: str = "scores") -> Iterator[str]:
    """What is not the same: keys and their order, texts, numbers beyond a rounding."""
    if isinstance(old, dict) and isinstance(new, dict):
        if list(old) != list(new):
            yield f"{where} has the keys {list(new)}, had {list(old)}"
            return
        for key in old:
            yield from differences(old[key], new[key], f"{where}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, two) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, two, f"{where}[{place}]")
    elif isinstance(old, float) and type(new) in (int, float):
        if new != pytest.approx(old, rel=1e-9, abs=1e-12):
            yield f"{where} is {new}, was {old}"
    elif old != new:
        yield f"{where} is {new!r}, was {old!r}"


def test_scores_are_written_as_in_version_2() -> None:
    """Another key, order, text or number is another version, or a mend that says so."""
    assert scores_file.FORMAT_VERSION == 2
    new = json.loads(json.dumps(golden_scores.made(), allow_nan=False))
    assert list(differences(json.loads(GOLDEN.read_text()), new)) == []


def test_every_kind_of_difference_is_found() -> None:
    old = json.loads(GOLDEN.read_text())
    for path, value in (
        (("scale", "solved"), 475.001),
        (("contestants", 0, "name"), "a2c"),
        (("contestants", 0, "robustness", "worst"), None),
        (("protocol", "deltas"), [0.0, 1.0]),
        (("protocol", "another"), 1),
    ):
        new = json.loads(GOLDEN.read_text())
        inner = new
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        assert len(list(differences(old, new))) == 1


def test_scores_of_version_2_are_read() -> None:
    scores = scores_file.read(GOLDEN)
    first, second = scores["contestants"]
    assert (first["name"], second["name"]) == ("ppo", "dqn")
    # By hand: mean over three seeds and four episodes, 460 - 12 + 5; (453 - 22) / (475 - 22)
    assert first["reward"]["mean"]["estimate"] == pytest.approx(452.75, abs=2)
    assert second["drift"][0]["left_out"] == [2]
    text = card.card_text(first)
    assert "seed 2" in text
    assert "longer_pole 1, 400 steps" in text


def test_the_report_of_version_2_shows_every_block() -> None:
    html = page.render(stored.load(GOLDEN.parent))
    for words in (
        "Generalisation matrix",
        "Drift: longer_pole up to 1",
        "Continued learning in longer_pole at 1",
        "Score along longer_pole",
        "Score along any_noise",
        "under longer_pole at 1 episodes are missing: training seed 2 has 0 of 4 pairs",
    ):
        assert words in html


@pytest.mark.parametrize("version", [1, 3, "2", None])
def test_other_versions_are_refused(version: Any, tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({**json.loads(GOLDEN.read_text()), "format_version": version}))
    with pytest.raises(BadInput, match="has format_version"):
        scores_file.read(path)


def keys(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield key
            yield from keys(value)
    elif isinstance(data, list):
        for value in data:
            yield from keys(value)


def test_every_key_is_in_the_specification() -> None:
    written = re.split(r"\W+", (ROOT / "docs" / "formats.md").read_text())
    unsaid = {
        key
        for key in keys(json.loads(GOLDEN.read_text()))
        # Training seeds and packages are keys; a reason stands beside whatever may be missing.
        if not key.isdigit() and key != "rl-lab" and key.removesuffix("_reason") not in written
    }
    assert unsaid == set()

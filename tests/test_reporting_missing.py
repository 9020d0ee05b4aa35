"""What is missing says why, whatever is missing, and nothing breaks."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_evaluation as fake
import pytest
from report_pages import report, rows

from rl_lab import cli, files
from rl_lab.errors import BadInput
from rl_lab.reporting import write_report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outputs" / "evaluate" / "demo"


@pytest.mark.parametrize("count", [0, 1, 2, 5, 20])
@pytest.mark.parametrize("seeds", [1, 5])
def test_any_number_of_contestants(folder: Path, count: int, seeds: int) -> None:
    fake.build(folder, fake.names(count), seeds=seeds)
    page = report(folder)
    assert len(rows(page, "leaderboard")) == max(count, 1)
    assert (folder / "report.html").stat().st_size < 400_000
    pictures = page.all("svg", role="img")
    assert all(attrs["aria-labelledby"] and attrs["aria-describedby"] for attrs, _ in pictures)
    ids = [attrs["id"] for _, attrs in page.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    assert len(page.all("caption")) == len(page.all("table"))
    figures = [text for _, text in page.all("figure")]
    assert all(("How to read it:" in text) != ("Missing:" in text) for text in figures)
    assert ("the evaluation has no contestants" in figures[0]) == (count == 0)


def test_what_is_missing_says_why(folder: Path) -> None:
    scores = fake.build(folder, fake.names(3), speed=False, shift=False)
    lost = scores["contestants"][2]
    lost |= {"reward": None, "reward_reason": "none of 5 training seeds has all 20 episodes"}
    lost |= {"to_best": None, "training": None}
    scores["contestants"][1]["runs"] = ["nowhere/seed_0"]
    scores |= {"anchors": None, "command": None, "versions": None}
    fake.write(folder, scores)
    (folder / "episodes.csv").unlink()
    page = report(folder)
    table = rows(page, "leaderboard")
    for cell in ("decision µs", "robustness"):
        assert table[0][cell][1].startswith("missing")
    for cell in ("rank", "mean return", "score", "success", "training time"):
        assert table[2][cell][1].startswith("missing")
        assert "data-value" not in table[2][cell][0]
    (body,) = (text for _, text in page.all("body"))
    for why in (
        "there is no speed.json",
        "there is no episodes.csv",
        "no shift was evaluated",
        "none of 5 training seeds has all 20 episodes",
        "the run folder nowhere/seed_0 is not here",
        "its training is not known here",
        "Missing: not stored in scores.json",
        "no anchors are known for this environment",
    ):
        assert why in body, why
    saved = [attrs["download"] for attrs, _ in page.all("a") if "download" in attrs]
    assert saved == ["scores.json"]


def test_a_scale_that_is_relative_says_so(folder: Path) -> None:
    scores = fake.build(folder, fake.names(2))
    label = "relative to best agent in this comparison"
    scores["anchors"] = {**scores["anchors"], "solved": None}
    scores["scale"] = {"random": 22.0, "solved": 431.5, "label": label}
    fake.write(folder, scores)
    assert f"random 22, ceiling 500, 1 is 431.5, {label}" in report(folder).all("body")[0][1]
    reason = "no threshold above random play, and no agent better than random play"
    fake.write(folder, scores | {"scale": None, "scale_reason": reason})
    assert f"{reason}: there are no scores" in report(folder).all("body")[0][1]


def test_a_single_seed_has_no_interval_and_says_so(folder: Path) -> None:
    fake.build(folder, fake.names(2), seeds=1)
    page = report(folder)
    cell = rows(page, "leaderboard")[0]["mean return"]
    assert "no interval" in cell[1]
    assert "data-low" not in cell[0]
    (body,) = (text for _, text in page.all("body"))
    assert "no interval from one training seed" in body
    assert "about this checkpoint, not about its algorithm" in body


def test_warnings_and_failures_are_shown(folder: Path) -> None:
    scores = fake.build(folder, fake.names(2))
    name = scores["contestants"][0]["name"]
    scores["contestants"][0]["reward"]["per_seed"]["0"] += 1.0
    scores["contestants"][0]["training_seeds"].append(5)
    scores["failures"] = [{"contestant": name, "training_seed": 5, "message": "it broke"}]
    scores["failures"].append({"contestant": "bad", "training_seed": -1, "message": "no card"})
    fake.write(folder, scores)
    speed = files.read_json(folder / "speed.json")
    speed["contestants"][name]["deadline_miss_rate"] = 0.125
    files.write_json(folder / "speed.json", speed)
    page = report(folder)
    ((_, warnings),) = page.all("ul", **{"class": "warnings"})
    assert f"{name}: misses the deadline of one control period in 12.50%" in warnings
    assert f"{name}: only 5 of 6 training seeds have all their episodes" in warnings
    assert f"{name}: mean return of seed 0: scores.json says" in warnings
    assert warnings.count(name) == 3
    failures = page.all("table", id="failures")[0][1]
    assert "it broke" in failures
    assert "badunknownno card" in failures


def test_a_broken_speed_file_is_a_reason_and_no_crash(folder: Path) -> None:
    fake.build(folder, fake.names(1))
    for content in ("{", '{"format_version": 2}', "[]"):
        (folder / "speed.json").write_text(content)
        (body,) = (text for _, text in report(folder).all("body"))
        assert "speed.json" in body
        assert str(folder) not in body


def test_without_scores_there_is_no_report(folder: Path) -> None:
    with pytest.raises(BadInput):
        write_report(folder)
    fake.build(folder, fake.names(1))
    for version in (3, True, "2", None):
        files.write_json(folder / "scores.json", {"format_version": version})
        with pytest.raises(BadInput, match=f"format_version {version!r}.*Update rl-lab"):
            write_report(folder)


@pytest.mark.parametrize(
    "words",
    [
        "report evaluation=e",
        "report evaluation=e format=md",
        "report evaluation=e format=png",
        "replay evaluation=e",
    ],
)
def test_scores_of_version_1_say_how_to_have_them_anew(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scores = fake.build(tmp_path / "e", fake.names(1))
    old = {**scores, "format_version": 1}
    files.write_json(tmp_path / "e" / "scores.json", old)
    (tmp_path / "e" / "report.html").unlink(missing_ok=True)
    before = sorted(path.name for path in (tmp_path / "e").iterdir())
    assert cli.main(words.split()) == 2
    said = capsys.readouterr()
    assert "e/scores.json has format_version 1" in said.err
    assert "expected version 2, the one this rl-lab reads" in said.err
    assert f"Give its evaluate command again with a new name=NAME: {old['command']}" in said.err
    assert "Traceback" not in said.err
    assert sorted(path.name for path in (tmp_path / "e").iterdir()) == before


def holes(data: Any) -> Iterator[Any]:
    """The same data with each of its parts missing in turn: null, or not there at all."""
    places: list[tuple[Any, ...]] = []

    def visit(part: Any, path: tuple[Any, ...]) -> None:
        if path:
            places.append(path)
        keys = (
            part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        )
        for key in keys:
            visit(part[key], (*path, key))

    visit(data, ())
    for path in places:
        for gone in (False, True):
            if path in (("format_version",), ("contestants", 0)) or isinstance(path[-1], int):
                continue
            changed = copy.deepcopy(data)
            parent = changed
            for key in path[:-1]:
                parent = parent[key]
            if gone:
                del parent[path[-1]]
            else:
                parent[path[-1]] = None
            yield changed


def test_any_part_may_be_missing(folder: Path) -> None:
    scores = fake.build(folder, fake.names(2))
    for contestant in scores["contestants"]:
        contestant["runs"] = []
    curve = scores["contestants"][0]["robustness"]["shifts"][0]
    curve["levels"] = curve["levels"][:2]
    del scores["contestants"][1]["reward"], scores["contestants"][1]["robustness"]
    (folder / "episodes.csv").unlink()
    for changed in holes(scores):
        fake.write(folder, changed)
        write_report(folder)
    fake.write(folder, scores)
    for changed in holes(files.read_json(folder / "speed.json")):
        files.write_json(folder / "speed.json", changed)
        write_report(folder)

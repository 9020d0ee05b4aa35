"""The report shows what is stored, nothing else runs in it, and what is missing says why."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import fake_evaluation as fake
import pytest

from rl_lab import comparison, files, records
from rl_lab.environments import Anchors
from rl_lab.errors import BadInput
from rl_lab.reporting import write_report

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)' x=\"",
    "{{ 7 * 7 }}{% raw %}&lt;b&gt;",
    "x" * 300,
    "שלום مرحبا",
    "</title></style><svg onload=alert(1)>",
]
VOID = {"meta"}


class Page(HTMLParser):
    """All elements with their attributes and text, in the order of the page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.texts[place] += data

    def all(self, tag: str, **wanted: str) -> list[tuple[dict[str, str | None], str]]:
        found = zip(self.elements, self.texts, strict=True)
        return [
            (attrs, " ".join(text.split()))
            for (name, attrs), text in found
            if name == tag and all(attrs.get(key) == value for key, value in wanted.items())
        ]


def report(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def rows(page: Page, key: str) -> list[dict[str, tuple[dict[str, str | None], str]]]:
    """A table's rows: heading -> (attributes, text)."""
    start = next(i for i, (t, a) in enumerate(page.elements) if t == "table" and a.get("id") == key)
    headings: list[str] = []
    found: list[dict[str, Any]] = []
    for (tag, attrs), text in zip(page.elements[start + 1 :], page.texts[start + 1 :], strict=True):
        if tag == "table":
            break
        if tag == "th" and attrs.get("scope") == "col":
            headings.append(str(attrs["data-heading"]).split(" (")[0])
        elif tag == "tr":
            found.append({})
        elif tag == "td" or attrs.get("scope") == "row":
            found[-1][headings[len(found[-1])]] = (attrs, " ".join(text.split()))
    return [row for row in found if row]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outputs" / "evaluate" / "demo"


def shows(cell: tuple[dict[str, str | None], str], value: float, ends: Any = None) -> None:
    """The cell holds the number exactly, and shows it rounded correctly."""
    attrs, text = cell
    assert float(attrs["data-value"] or "nan") == value
    numbers = re.findall(r"[-+]?\d[\d,]*\.?\d*", text)
    expected = [value, *(ends or ())]
    for number, stored in zip(numbers, expected, strict=False):
        decimals = len(number.partition(".")[2])
        assert float(number.replace(",", "")) == pytest.approx(stored, abs=0.5001 * 10**-decimals)
    if ends:
        assert [float(attrs[key] or "nan") for key in ("data-low", "data-high")] == list(ends)
        assert len(numbers) == 3


def ends(data: dict[str, Any]) -> tuple[float, float]:
    return data["low"], data["high"]


def test_the_leaderboard_shows_the_stored_numbers(folder: Path) -> None:
    scores = fake.build(folder, fake.names(6))
    times = files.read_json(folder / "speed.json")["contestants"]
    table = rows(report(folder), "leaderboard")
    assert [row["rank"][1] for row in table] == ["1", "2", "3", "4", "5", "6"]
    for row, contestant in zip(table, scores["contestants"], strict=True):
        reward = contestant["reward"]
        assert row["contestant"][1].startswith(contestant["name"])
        shows(row["seeds"], 5)
        shows(row["mean return"], reward["mean"]["estimate"], ends(reward["mean"]))
        shows(row["score"], reward["score"]["estimate"], ends(reward["score"]))
        shows(row["success"], reward["success_rate"]["estimate"], ends(reward["success_rate"]))
        shows(row["decision µs"], times[contestant["name"]]["p50_us"])
        auc = contestant["robustness"]["auc"]
        shows(row["robustness"], auc["estimate"], ends(auc))
        assert (
            float(row["training time"][0]["data-value"] or 0) == contestant["training"]["seconds"]
        )
        if contestant["to_best"]:
            delta = contestant["to_best"]["delta"]
            shows(row["to the best"], delta["estimate"], ends(delta))
            shows(row["p"], contestant["to_best"]["p_holm"])
    assert table[0]["to the best"][1] == "best"


def test_the_other_tables_show_the_stored_numbers(folder: Path) -> None:
    scores = fake.build(folder, fake.names(3))
    times = files.read_json(folder / "speed.json")["contestants"]
    page = report(folder)
    tables = [rows(page, key) for key in ("seeds", "times", "levels", "costs", "endings")]
    for contestant, seeds, speed, levels, costs, endings in zip(
        scores["contestants"], *tables, strict=True
    ):
        for seed, value in contestant["reward"]["per_seed"].items():
            shows(seeds[f"seed {seed}"], value)
            assert f"seed {seed}: {value:.6g}" in {text for _, text in page.all("title")}
        for key in ("p50", "p90", "p99"):
            shows(speed[key], times[contestant["name"]][f"{key}_us"])
        for level in contestant["robustness"]["levels"]:
            shows(levels[f"{level['delta']:g}"], level["score"], ends(level))
        assert float(costs["steps"][0]["data-value"] or 0) == contestant["training"]["steps"]
        shows(endings["episodes"], 5 * fake.EPISODES)


def test_equal_means_share_a_rank(folder: Path) -> None:
    scores = fake.build(folder, fake.names(3))
    scores["contestants"][1]["reward"]["mean"] = scores["contestants"][0]["reward"]["mean"]
    fake.write(folder, scores)
    assert [row["rank"][1] for row in rows(report(folder), "leaderboard")] == ["1", "1", "3"]


def test_the_verdict_and_the_command_are_there_word_for_word(folder: Path) -> None:
    scores = fake.build(folder, fake.names(2))
    page = report(folder)
    assert page.all("p", **{"class": "sentence"})[0][1] == scores["verdict"]
    assert page.all("pre", **{"class": "command"})[0][1] == scores["command"]
    links = [attrs["href"] for attrs, _ in page.all("a") if not str(attrs["href"]).startswith("#")]
    assert links == ["episodes.csv", "scores.json", "speed.json"]


def test_hostile_names_stay_text(folder: Path) -> None:
    scores = fake.build(folder, HOSTILE)
    scores["failures"] = [{"contestant": HOSTILE[0], "training_seed": 0, "message": HOSTILE[5]}]
    scores["verdict"] = f"{HOSTILE[0]} beats {HOSTILE[3]}"
    scores["command"] = scores["environment"] = HOSTILE[0]
    fake.write(folder, scores)
    page = report(folder)
    tags = [tag for tag, _ in page.elements]
    assert (tags.count("script"), tags.count("style"), tags.count("title") > 1) == (1, 1, True)
    assert not {"img", "iframe", "object", "embed", "form", "link", "base"} & set(tags)
    for _, attrs in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attrs)
    shown = [row["contestant"][1] for row in rows(page, "costs")]
    assert all(
        text.startswith(" ".join(name.split())) for text, name in zip(shown, HOSTILE, strict=True)
    )
    assert page.all("p", **{"class": "sentence"})[0][1] == scores["verdict"]


def test_characters_that_disturb_the_page_are_replaced(folder: Path) -> None:
    scores = fake.build(folder, ["one"], seeds=1)
    text = json.dumps(scores).replace('"one"', '"a\\u0000b\\ud800c\\u202ed"')
    (folder / "scores.json").write_text(text)
    name = rows(report(folder), "leaderboard")[0]["contestant"][1]
    assert name.startswith("a\ufffdb?c\ufffdd")


def test_the_policy_allows_our_script_and_style_only(folder: Path) -> None:
    fake.build(folder, fake.names(2))
    page = report(folder)
    ((attrs, _),) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(rule.split(" ", 1) for rule in str(attrs["content"]).split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    raw = (folder / "report.html").read_text(encoding="utf-8")
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", raw, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert raw.index("Content-Security-Policy") < raw.index("<style>")


def test_nothing_is_loaded_from_elsewhere(folder: Path) -> None:
    fake.build(folder, fake.names(2))
    raw = write_report(folder).read_text(encoding="utf-8")
    assert not re.search(r"https?://|//[a-z]+\.|url\(|@import|\bsrc=", raw)


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
    assert [attrs["href"] for attrs, _ in page.all("a")][-1] == "scores.json"


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
    assert "it broke" in page.all("table", id="failures")[0][1]


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
    files.write_json(folder / "scores.json", {"format_version": 2})
    with pytest.raises(BadInput, match="format_version 2"):
        write_report(folder)


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
    scores["contestants"][0]["robustness"]["levels"] = scores["contestants"][0]["robustness"][
        "levels"
    ][:2]
    del scores["contestants"][1]["reward"], scores["contestants"][1]["robustness"]
    (folder / "episodes.csv").unlink()
    for changed in holes(scores):
        fake.write(folder, changed)
        write_report(folder)
    fake.write(folder, scores)
    for changed in holes(files.read_json(folder / "speed.json")):
        files.write_json(folder / "speed.json", changed)
        write_report(folder)


def test_equal_files_give_equal_bytes_also_after_a_move(tmp_path: Path, folder: Path) -> None:
    scores = fake.build(folder, fake.names(2))
    for contestant in scores["contestants"]:
        contestant["runs"] = [str(Path(run).relative_to(tmp_path)) for run in contestant["runs"]]
    fake.write(folder, scores)
    before = write_report(folder).read_bytes()
    assert before == write_report(folder).read_bytes()
    shutil.move(tmp_path / "outputs", tmp_path / "elsewhere" / "outputs")
    moved = tmp_path / "elsewhere" / "outputs" / "evaluate" / "demo"
    assert write_report(moved).read_bytes() == before
    assert b"is not here" not in before


def test_it_reads_what_the_comparison_writes(folder: Path) -> None:
    fake.build(folder, fake.names(3))
    rows_ = records.read(folder / "episodes.csv")
    who = [
        comparison.Contestant(name, "ppo", "PPO", "3f2a91c0", tuple(range(5)), None)
        for name in fake.names(3)
    ]
    protocol = comparison.Protocol(
        fake.EPISODES, 0, (1_000_000, 1_000_000 + fake.EPISODES - 1), None, (), 0
    )
    scores = comparison.compare(rows_, who, fake.ENVIRONMENT, Anchors(**fake.ANCHORS), protocol)
    fake.write(folder, scores)
    page = report(folder)
    for row, contestant in zip(rows(page, "leaderboard"), scores["contestants"], strict=True):
        mean = contestant["reward"]["mean"]
        shows(row["mean return"], mean["estimate"], ends(mean))
    assert "There are no warnings." in page.all("body")[0][1]

"""The report shows what is stored, and nothing else runs in it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path

import fake_evaluation as fake
import pytest
from report_pages import ends, report, rows, shows

from rl_lab import comparison, files, records
from rl_lab.environments import Anchors
from rl_lab.reporting import write_report

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)' x=\"",
    "{{ 7 * 7 }}{% raw %}&lt;b&gt;",
    "x" * 300,
    "שלום مرحبا",
    "</title></style><svg onload=alert(1)>",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outputs" / "evaluate" / "demo"


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
    ((_, caption),) = page.all("caption", id="levels-caption")
    assert "of pole_length, length (m): 0.5, 0.8409, " in caption
    tables = [rows(page, key) for key in ("seeds", "times", "levels", "costs", "endings")]
    for contestant, seeds, speed, levels, costs, endings in zip(
        scores["contestants"], *tables, strict=True
    ):
        for seed, value in contestant["reward"]["per_seed"].items():
            shows(seeds[f"seed {seed}"], value)
            assert f"seed {seed}: {value:.6g}" in {text for _, text in page.all("title")}
        for key in ("p50", "p90", "p99"):
            shows(speed[key], times[contestant["name"]][f"{key}_us"])
        for level in contestant["robustness"]["shifts"][0]["levels"]:
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


def test_the_records_can_be_taken_from_the_page(folder: Path) -> None:
    fake.build(folder, fake.names(2))
    for attrs, _ in report(folder).all("a"):
        href, name = str(attrs["href"]), str(attrs.get("download", ""))
        if href.startswith("#"):
            continue
        head, _, content = href.partition(";base64,")
        data = base64.b64decode(content)
        if name.endswith(".gz"):
            assert head == "data:application/gzip"
            data, name = gzip.decompress(data), name.removesuffix(".gz")
        assert data == (folder / name).read_bytes()
    saved = [attrs["download"] for attrs, _ in report(folder).all("a") if "download" in attrs]
    assert [str(name).removesuffix(".gz") for name in saved] == [
        "episodes.csv",
        "scores.json",
        "speed.json",
    ]


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
    raw = raw.replace("http://www.w3.org/2000/svg", "")  # a name, not a place
    assert not re.search(r"https?://|//[a-z]+\.|url\(|@import|\bsrc=", raw)


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
    unknown = comparison.Learning(None, {}, {}, {}, "not at hand", "not known")
    who = [
        comparison.Contestant(name, "ppo", "PPO", "3f2a91c0", tuple(range(5)), None, unknown)
        for name in fake.names(3)
    ]
    seeds = (1_000_000, 1_000_000 + fake.EPISODES - 1)
    protocol = comparison.Protocol(
        fake.EPISODES, 0, seeds, (), (), 0, None, None, {}, step_limit=1_000
    )
    scores = comparison.compare(rows_, who, fake.ENVIRONMENT, Anchors(**fake.ANCHORS), protocol)
    fake.write(folder, scores)
    page = report(folder)
    for row, contestant in zip(rows(page, "leaderboard"), scores["contestants"], strict=True):
        mean = contestant["reward"]["mean"]
        shows(row["mean return"], mean["estimate"], ends(mean))
    ((_, warnings),) = page.all("ul", **{"class": "warnings"})
    assert warnings == "20 episodes per training seed, fewer than 50"

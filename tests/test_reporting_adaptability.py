"""What the adaptability section shows is what is stored, and what is absent says why."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import fake_evaluation as fake
import pytest
from report_pages import ends, report, rows, shows

from rl_lab.comparison import card
from rl_lab.reporting import parts, stored
from rl_lab.reporting.exporting import write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outputs" / "evaluate" / "demo"


def about(middle: float) -> dict[str, Any]:
    return {"estimate": middle, "low": middle - 0.125, "high": middle + 0.0625, "method": "t"}


def drift(seen: bool = True) -> dict[str, Any]:
    alarm = {
        "declared_false_alarm_rate": 0.01,
        "false_alarm_rate": about(0.25),
        "detection_rate": about(0.75),
        "detected": 15,
        "episodes": 20,
        "delay_steps": 37,
    }
    return {
        "shift": "pole_length",
        "delta": 1.0,
        "schedule": {"kind": "ramp"},
        "loss_per_step": about(0.5),
        "loss_score": about(0.375),
        "survival": {"drift": about(0.625), "no_drift": about(0.875)},
        "detection": alarm if seen else None,
        "detection_reason": "the policy came without statistics of its world",
        "obs_shift": about(1.5),
        "dynamics_shift": about(2.5),
    }


def adaptation(delta: float = 1.0) -> dict[str, Any]:
    steps = [0, 5_000, 10_000]
    return {
        "shift": "pole_length",
        "delta": delta,
        "drop": about(0.5),
        "recovery_ratio": None,
        "recovery_ratio_reason": "no drop: nothing to recover",
        "adaptation_gain": about(0.25),
        "forward_transfer": None,
        "forward_transfer_reason": "nothing was trained anew",
        "dip": about(0.125),
        "forgetting": about(0.75),
        "steps_to_recover": {"reached": 4, "seeds": 5, "median": 5_000},
        "cost": {"steps": 10_000, "seconds": 12.5},
        "curves": [
            {"step": step, "shifted": about(0.25 + step / 20_000), "original": about(1.0)}
            for step in steps
        ],
    }


def generalisation() -> dict[str, Any]:
    scores = {key: about(1.0 - place / 8) for place, key in enumerate(("train", "nominal", "near"))}
    return {
        "trained_on": {"range": "near", "shifts": ["pole_length"]},
        "scores": {**scores, "far": about(0.25)},
        "gap_near": about(0.25),
        "gap_far": about(0.75),
        "gap_train_eval": None,
        "gap_train_eval_reason": "its training is not known here",
    }


def build(folder: Path) -> dict[str, Any]:
    """Two contestants, the second without any of it."""
    scores = fake.build(folder, fake.names(2))
    first, second = scores["contestants"]
    first |= {
        "drift": [drift(), drift() | {"shift": "gravity"}],
        "generalisation": generalisation(),
    }
    first["adaptation"] = [adaptation(), adaptation(0.5)]
    for key in ("drift", "adaptation", "generalisation"):
        second |= {key: None, f"{key}_reason": f"no {key} here"}
    test = {"D": about(1.0), "R": about(0.75), "E": about(0.5)}
    scores["generalisation_matrix"] = [{"contestant": first["name"], "trained": "R", **test}]
    fake.write(folder, scores)
    return scores


def test_the_tables_show_the_stored_numbers(folder: Path) -> None:
    build(folder)
    page = report(folder)
    row, other = rows(page, "generalisation")
    assert row["trained on"][1] == "near"
    shows(row["far"], 0.25, ends(about(0.25)))
    assert other["near"][1].startswith("missing")
    (cells,) = rows(page, "matrix")
    shows(cells["home"], 1.0, ends(about(1.0)))
    shows(cells["far"], 0.5, ends(about(0.5)))
    row, other = rows(page, "drift-0")
    shows(row["loss"], 0.375)
    shows(row["alarm"], 0.75, ends(about(0.75)))
    shows(row["false alarms"], 0.25, ends(about(0.25)))
    shows(row["delay"], 37)
    assert rows(page, "drift-1")[0].keys() == row.keys()  # one table for each shift
    (row,) = rows(page, "adaptation-0")
    shows(row["forgetting"], 0.75, ends(about(0.75)))
    shows(row["steps to recover"], 5_000)
    assert row["recovered"][1].startswith("missing")
    row, other = rows(page, "leaderboard")
    shows(row["adaptation"], 0.25, ends(about(0.25)))
    assert other["adaptation"][1].startswith("missing")
    (body,) = (text for _, text in page.all("body"))
    for why in (
        "no drop: nothing to recover",
        "nothing was trained anew",
        "its training is not known here",
        "because no drift here",
        "because no adaptation here",
        "because no generalisation here",
    ):
        assert why in body, why


def test_a_recovery_beyond_the_budget_is_later_not_missing(folder: Path) -> None:
    scores = build(folder)
    late, mild = adaptation(), adaptation(0.5)
    late |= {
        "budget": 10_000,
        "steps_to_recover": {
            "reached": 0,
            "seeds": 3,
            "median": None,
            "median_reason": "> budget: 0 of 3 training seeds recovered",
        },
    }
    mild |= {
        "budget": 10_000,
        "steps_to_recover": {"reached": 0, "seeds": 0, "median": None, "median_reason": "no drop"},
    }
    scores["contestants"][0]["adaptation"] = [late, mild]
    fake.write(folder, scores)
    page = report(folder)
    (row,), (other,) = rows(page, "adaptation-0"), rows(page, "adaptation-1")
    assert row["steps to recover"][1].startswith("> 10,000")
    assert other["steps to recover"][1].startswith("missing")
    (body,) = (text for _, text in page.all("body"))
    assert "0 of 3 training seeds recovered" in body
    assert "> budget" not in body
    for kind, name, shown in (
        ("md", "tables.md", r"| \> 10,000 \["),
        ("csv", "adaptation.csv", ',"> 10,000",'),
        ("latex", "adaptation.tex", r"$>$ 10,000\,["),
    ):
        write_files(folder, kind, folder / "files")
        assert shown in (folder / "files" / name).read_text(), kind


def test_the_leaderboard_has_no_adaptation_where_nobody_adapted(folder: Path) -> None:
    fake.write(folder, fake.build(folder, fake.names(2)))
    assert "adaptation" not in rows(report(folder), "leaderboard")[0]


def test_each_shifted_world_has_its_two_curves(folder: Path) -> None:
    build(folder)
    figures = parts.figures(stored.load(folder))
    names = [name for name in figures if name.startswith("adaptation_")]
    assert names == [
        "adaptation_shifted",
        "adaptation_original",
        "adaptation_shifted_2",
        "adaptation_original_2",
    ]
    assert figures["adaptation_shifted"].heading.endswith("pole_length at 1")
    picture = figures["adaptation_shifted_2"].panels[0].picture
    assert "score from 0.25 to 0.75" in picture
    assert "forgetting 0.75" in str(figures["adaptation_original"].keys)
    headings = [text for _, text in report(folder).all("h3")]
    assert sum("pole_length at 0.5" in heading for heading in headings) == 2


def test_an_alarm_that_could_not_sound_says_why(folder: Path) -> None:
    scores = build(folder)
    scores["contestants"][0]["drift"] = [drift(seen=False)]
    fake.write(folder, scores)
    page = report(folder)
    assert rows(page, "drift-0")[0]["alarm"][1].startswith("missing")
    assert "the policy came without statistics of its world" in page.all("body")[0][1]


def test_what_was_not_asked_for_is_one_line_each(folder: Path) -> None:
    fake.build(folder, fake.names(3))
    (section,) = (text for _, text in report(folder).all("section", id="adaptability"))
    line = "Missing: 3 contestants, because not part of this evaluation."
    assert section.count(line) == 3


def test_every_shift_has_its_curve_and_two_at_once_their_grid(folder: Path) -> None:
    scores = build(folder)
    levels = [
        {"delta": d, "value": 9.8 + d, "score": 1 - d / 2, "low": 0.4, "high": 1.0}
        for d in (0.0, 1.0)
    ]
    for contestant in scores["contestants"][:1]:
        first = dict(contestant["robustness"])
        second = {"shift": "gravity", "parameter": "gravity", "unit": "m/s2", "levels": levels}
        contestant["robustness"] |= {"shifts": [first, {**second, "auc": about(0.75)}]}
        cells = [
            {"deltas": [a, b], "score": a + b, "low": None, "high": None}
            for a in (0.0, 0.5)
            for b in (0.0, 0.25)
        ]
        contestant["robustness"]["grid"] = {"shifts": ["pole_length", "gravity"], "cells": cells}
    fake.write(folder, scores)
    figures = parts.figures(stored.load(folder))
    figure = figures["robustness_2"]
    assert figure.heading == "Score along gravity"
    assert "score 1 at 0, 0.5 at 1" in figure.panels[0].picture
    assert figure.keys[0].note.startswith("area 0.75")
    assert [missing.name for missing in figure.missing] == [scores["contestants"][1]["name"]]
    page = report(folder)
    near, far = rows(page, "grid-0")
    assert [float(row["0.25"][0]["data-value"] or 0) for row in (near, far)] == [0.25, 0.75]
    assert "Score along gravity" in page.all("section", id="adaptability")[0][1]


def test_each_shift_has_its_own_levels_area_and_worst(folder: Path, tmp_path: Path) -> None:
    scores = fake.build(folder, fake.names(2))
    block = scores["contestants"][0]["robustness"]
    first = block["shifts"][0]
    levels = [
        {"delta": d, "value": 9.8 + d, "score": 1 - d / 2, "low": 0.4, "high": 1.0}
        for d in (0.0, 1.0)
    ]
    own = {"auc": about(0.75), "worst": about(0.5)}
    second = {"shift": "gravity", "parameter": "gravity", "unit": "m/s2", "levels": levels, **own}
    block["shifts"] = [first, second]
    fake.write(folder, scores)
    read = rows(report(folder), "levels")
    assert [row["shift"][1] for row in read] == ["pole_length"] * 2 + ["gravity"] * 2
    along = read[2]
    assert along["parameter"][1] == "gravity (m/s2): 9.8, 10.8"
    values = [along[key][0]["data-value"] for key in ("area", "worst level", "0", "1")]
    assert list(map(float, map(str, values))) == [0.75, 0.5, 1.0, 0.5]
    assert "missing" in along["0.5"][1]
    assert float(read[0]["area"][0]["data-value"] or 0) == first["auc"]["estimate"]
    assert "not evaluated along gravity" in (tables := report(folder).texts[0])
    assert "not evaluated at this magnitude" in tables

    write_files(folder, "csv", tmp_path / "files")
    with (tmp_path / "files" / "levels.csv").open(newline="") as file:
        long = list(csv.DictReader(file))
    assert len(long) == 2 * len(first["levels"]) + 2
    keys = ("shift", "parameter", "unit", "magnitude", "value", "score", "area", "worst level")
    last = "gravity", "gravity", "m/s2", "1.0", "10.8", "0.5", "0.75", "0.5"
    assert tuple(long[-1][key] for key in keys) == last


def test_robustness_of_what_had_not_learned_is_grey_and_says_so(folder: Path) -> None:
    scores = fake.build(folder, fake.names(2))
    scores["contestants"][0]["robustness"]["shifts"][0]["saturated"] = True
    scores["contestants"][1]["robustness"]["learned"] = False
    fake.write(folder, scores)
    page = report(folder)
    for table, keys in (("leaderboard", ["robustness"]), ("levels", ["area", "worst level", "1"])):
        learned, not_learned = rows(page, table)
        for key in keys:
            assert learned[key][0]["class"] == "number"
            assert not_learned[key][0]["class"] == "number faint"
            assert not_learned[key][0]["data-value"]
    section = page.all("section", id="adaptability")[0][1]
    assert "nominal not learned: at home it scores below 0.1" in section
    solved, nothing = parts.figures(stored.load(folder))["robustness"].keys
    assert solved.note.endswith("still solved at the far end: a harder shift would say more")
    assert nothing.note.endswith("nominal not learned")


def test_a_grid_without_a_shift_alone_is_drawn(folder: Path) -> None:
    scores = build(folder)
    nothing = {"estimate": None, "low": None, "high": None}
    cells = [{"deltas": [a, 0.0], "score": a, "low": None, "high": None} for a in (0.0, 1.0)]
    for contestant in scores["contestants"]:
        grid = {"shifts": ["wind", "rain"], "cells": cells, "worst": {**nothing, "estimate": 0.0}}
        contestant["robustness"] = {"shifts": [], "grid": grid, "learned": True}
        contestant["robustness"] |= {"auc": None, "auc_reason": "no shift was evaluated"}
        contestant["robustness"] |= {"worst": None, "cvar10": None}
    fake.write(folder, scores)
    page = report(folder)
    assert len(rows(page, "grid-0")) == 2
    section = page.all("section", id="adaptability")[0][1]
    assert "no shift was evaluated" in section
    assert "two at once: worst / far end" in section


def test_the_card_of_the_comparison_stands_in_the_report(folder: Path) -> None:
    scores = build(folder)
    scores["contestants"][0] |= {"drift": None, "adaptation": [{"reason": "its runs are gone"}]}
    fake.write(folder, scores)
    (text,) = [text for _, text in report(folder).all("pre", **{"class": "command card"})]
    assert text == " ".join(card.card_text(scores["contestants"][0]).split("\n", 1)[1].split())
    assert "its runs are gone" in text

"""Profiles, speed curves and the conformance box say what the records hold."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import fake_evaluation as fake
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_pages import report, rows

from rl_lab import files, records, seeding
from rl_lab.reporting import (
    charts,
    conformance,
    costs,
    details,
    parts,
    profiles,
    speed_figures,
    stored,
)
from rl_lab.reporting.conformance import MET, NOT_MET, UNKNOWN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outputs" / "evaluate" / "demo"


returns = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=30)


@given(returns, st.lists(st.integers(-1, 21).map(float), min_size=1, max_size=10))
@settings(max_examples=100, deadline=None)
def test_a_profile_counts_the_episodes_that_return_as_much(
    values: list[float], thresholds: list[float]
) -> None:
    found = profiles.share_at_least(np.array(values), np.array(thresholds))
    expected = [sum(value >= t for value in values) / len(values) for t in thresholds]
    np.testing.assert_allclose(found, expected)


def test_the_profile_of_a_contestant_is_the_mean_over_its_seeds(folder: Path) -> None:
    fake.build(folder, ["one"], seeds=2)
    rows = records.read(folder / "episodes.csv")
    figure = profiles.figure(stored.load(folder))
    median = np.median([row.episode_return for row in rows])
    assert f"one: half of the episodes return {median:.4g} or more" in figure.panels[0].picture
    assert figure.panels[0].picture.count('class="band"') == 1
    assert not figure.missing


def test_the_lines_pass_through_the_stored_numbers(folder: Path) -> None:
    fake.build(folder, ["one"])
    times = files.read_json(folder / "speed.json")["contestants"]["one"]
    evaluation = stored.load(folder)
    tail, load, batch = (
        str(make(evaluation).panels[0].picture)
        for make in (speed_figures.distribution, speed_figures.load, speed_figures.batches)
    )
    for picture, count in ((tail, 5), (load, 9), (batch, 13)):
        (points,) = re.findall(r'<polyline points="([^"]*)"', picture)
        places = [tuple(map(float, point.split(","))) for point in points.split()]
        assert len(places) == count
        assert places == sorted(places)
    assert "deadline 20 ms" in load
    rate = times["server"]["max_rate_per_s"]
    assert f"{rate:,.0f} per second, limited by deadline" in load
    assert f"up to {times['offline']['max_decisions_per_s']:,.0f} per second" in batch
    # Equal ratios are equal distances: the load's times rise by 1.8 from level to level.
    (points,) = re.findall(r'<polyline points="([^"]*)"', load)
    heights = [float(point.split(",")[1]) for point in points.split()]
    np.testing.assert_allclose(np.diff(heights), np.diff(heights)[0], atol=0.11)


def test_percentiles_that_are_not_known_are_left_out(folder: Path) -> None:
    fake.build(folder, ["one"])
    speed = files.read_json(folder / "speed.json")
    times = speed["contestants"]["one"]
    times["distribution"]["us"][2:5] = [None] * 3
    why = "fewer than one of 50 calls lies above p99"
    times |= {"p99_us": None, "p99_us_reason": why}
    files.write_json(folder / "speed.json", speed)
    evaluation = stored.load(folder)
    picture = str(speed_figures.distribution(evaluation).panels[0].picture)
    (points,) = re.findall(r'<polyline points="([^"]*)"', picture)
    assert len(points.split()) == 2
    (missing,) = charts.decision_times(evaluation).missing
    assert (missing.name, missing.reason) == ("one", why)
    assert list(details.decision_times(evaluation).notes) == [why]


def test_what_was_not_measured_is_missing_with_its_reason(folder: Path) -> None:
    fake.build(folder, ["one", "two"])
    speed = files.read_json(folder / "speed.json")
    speed["contestants"]["one"]["server"] = None
    speed["contestants"]["one"]["server_reason"] = "left out: evaluation.speed.server_s=0"
    files.write_json(folder / "speed.json", speed)
    figure = speed_figures.load(stored.load(folder))
    (missing,) = figure.missing
    assert (missing.name, missing.reason) == ("one", "left out: evaluation.speed.server_s=0")


def states(evaluation: stored.Evaluation) -> dict[str, str]:
    return {rule.text: rule.state for rule in conformance.rules(evaluation)}


def fair(folder: Path) -> None:
    """An evaluation that keeps every rule."""
    scores = fake.build(folder, fake.names(2))
    rows = records.read(folder / "episodes.csv")
    first = seeding.FIRST_EVALUATION_SEED
    moved = [
        dataclasses.replace(row, evaluation_seed=first + row.evaluation_seed - 1_000_000)
        for row in rows
    ]
    # Twenty episodes three times over, with the same means.
    many = [
        dataclasses.replace(row, evaluation_seed=row.evaluation_seed + 20 * k)
        for row in moved
        for k in range(3)
    ]
    records.write(folder / "episodes.csv", many)
    fake.write(folder, scores)
    speed = files.read_json(folder / "speed.json")
    speed["settings"] = {"repeats": 5}
    speed["machine"]["load_average_before"] = [0.1, 0.1, 0.1]
    files.write_json(folder / "speed.json", speed)
    clip = {"verdict": "bit-identical over 3 steps"}
    data = {"format_version": 1, "clips": {"clip-00": clip}, "scenes": [], "recordings": []}
    files.write_json(folder / "replays" / "replays.json", data)


def test_an_evaluation_that_keeps_every_rule(folder: Path) -> None:
    fair(folder)
    assert set(states(stored.load(folder)).values()) == {MET}


def edit(folder: Path, name: str, change: Any) -> None:
    data = files.read_json(folder / name)
    change(data)
    files.write_json(folder / name, data)


BREAKS: dict[str, tuple[str, Any]] = {
    "the means are those": (
        "scores.json",
        lambda d: d["contestants"][0]["reward"]["per_seed"].update({"0": 1.0}),
    ),
    "5 training seeds": (
        "scores.json",
        lambda d: [d["contestants"][0]["reward"]["per_seed"].pop("0")],
    ),
    "nothing failed": ("scores.json", lambda d: d["failures"].append({"message": "it broke"})),
    "10,000 decisions": ("speed.json", lambda d: d["settings"].update(repeats=1)),
    "the machine was quiet": (
        "speed.json",
        lambda d: d["machine"].update(load_average_before=[7.0, 1.0, 1.0]),
    ),
    "the episodes shown": (
        "replays/replays.json",
        lambda d: d["clips"]["clip-00"].update(verdict="differs from step 1 of 3 on: reward"),
    ),
    "command, versions": ("scores.json", lambda d: d.update(command=None)),
}


@pytest.mark.parametrize("rule", BREAKS)
def test_each_rule_can_be_broken(folder: Path, rule: str) -> None:
    fair(folder)
    edit(folder, *BREAKS[rule])
    found = states(stored.load(folder))
    assert [text for text, state in found.items() if state != MET] == [
        next(text for text in found if text.startswith(rule))
    ]


def test_a_busy_machine_and_few_episodes_are_warned_of(folder: Path) -> None:
    fair(folder)
    evaluation = stored.load(folder)
    assert conformance.warnings(evaluation) == []
    busy, first = [3.9, 1.0, 1.0], seeding.FIRST_EVALUATION_SEED
    edit(folder, "speed.json", lambda d: d["machine"].update(load_average_before=busy, cores=2))
    rows = records.read(folder / "episodes.csv")
    records.write(
        folder / "episodes.csv", [row for row in rows if row.evaluation_seed < first + 40]
    )
    page = report(folder)
    ((_, warnings),) = page.all("ul", **{"class": "warnings"})
    assert "40 episodes per training seed, fewer than 50" in warnings
    assert "busy before decisions were timed, with a load of 3.9 on 2 cores" in warnings
    (count,) = (text for _, text in page.all("span", **{"class": "count"}))
    assert count == "2"


def test_other_seeds_and_fewer_episodes_are_seen(folder: Path) -> None:
    fair(folder)
    rows = records.read(folder / "episodes.csv")
    records.write(folder / "episodes.csv", [row for row in rows if row.evaluation_seed % 3])
    found = states(stored.load(folder))
    assert found["50 episodes or more per training seed"] == NOT_MET
    other = dataclasses.replace(rows[0], evaluation_seed=5)
    records.write(folder / "episodes.csv", [other, *rows[1:]])
    found = states(stored.load(folder))
    assert found["all contestants play the same evaluation seeds"] == NOT_MET
    apart = "no evaluation seed is one of training or of choosing a snapshot"
    assert found[apart] == NOT_MET


def test_what_cannot_be_checked_is_not_known(folder: Path) -> None:
    fake.build(folder, fake.names(1), speed=False)
    (folder / "episodes.csv").unlink()
    assert list(states(stored.load(folder)).values()).count(UNKNOWN) == 7
    page = report(folder)
    assert "not known" in page.all("table", id="conformance")[0][1]


def reference_row() -> dict[str, Any]:
    batch = {"size": 64, "decisions_per_s": 250_000.0, "frozen_decisions_per_s": 1_500_000.0}
    through = {"algorithm": "stable_baselines3.PPO", "policy_class": "P", "torch": "2.13.0"}
    times = {"p50_us": 150.0, "p99_us": 300.0, "frozen_p50_us": 5.0, "frozen_p99_us": 9.0}
    shares = {"calls": 2_000, "times_faster": 30.0, "mismatch_rate": 0.0005}
    return {"through": through, **times, **shares, "batches": [batch]}


def test_reference_rows_stand_in_the_report(folder: Path) -> None:
    scores = fake.build(folder, ["one", "two"])
    assert "references" not in parts.tables(stored.load(folder))
    one, two = "one", "two"

    def add(speed: Any) -> None:
        speed["contestants"][one]["reference"] = reference_row()
        speed["contestants"][two] |= {"reference": None, "reference_reason": "came without run"}

    edit(folder, "speed.json", add)
    places = [c["name"] for c in scores["contestants"]]
    shown = rows(report(folder), "references")
    first, second = shown[places.index(one)], shown[places.index(two)]
    assert first["library"][1].split() == ["PPO", "torch", "2.13.0"]
    assert first["p50"][0]["data-value"] == "150.0"
    assert first["frozen p50"][0]["data-value"] == "5.0"
    assert first["times faster"][1] == "30"
    assert first["differs"][1] == "0.05%"
    assert first["batch of 64"][1].split() == ["1,500,000", "250,000"]
    assert second["times faster"][1].startswith("missing")
    assert "came without run" in parts.tables(stored.load(folder))["references"].notes


def test_training_stands_beside_an_episode(folder: Path) -> None:
    scores = fake.build(folder, ["one", "two"])
    for contestant in scores["contestants"]:
        counted = contestant["name"] == "one"
        energy = {"joules": 4_500.0} if counted else {"joules": None, "joules_reason": "no RAPL"}
        contestant["training"]["energy"] = {"source": "", **energy}
    fake.write(folder, scores)

    def add(speed: Any) -> None:
        episode = {"steps": 200.0, "seconds": 0.002}
        speed["contestants"]["one"]["episode"] = {**episode, "joules": 0.04}
        silent = {"joules": None, "joules_reason": "no RAPL either"}
        speed["contestants"]["two"]["episode"] = {**episode, **silent}
        speed["contestants"]["one"]["amortisation_decisions"] = 3_000_000

    edit(folder, "speed.json", add)
    page = report(folder)
    one, two = rows(page, "costs")
    assert one["energy"][1] == "4.5 kJ"
    assert two["energy"][1] == "unavailable1"
    one, two = rows(page, "inference")
    assert one["episode"][1].split() == ["2", "ms", "40", "mJ"]
    assert one["as training"][1] == "3,000,000"
    assert two["episode"][1].startswith("2 ms energy unavailable")
    tables = parts.tables(stored.load(folder))
    assert "no RAPL" in tables["costs"].notes
    assert "no RAPL either" in tables["inference"].notes


def test_the_page_says_which_parts_of_speed_were_left_out(folder: Path) -> None:
    fake.build(folder, ["one", "two"])

    def leave_out(speed: Any) -> None:
        for times in speed["contestants"].values():
            why = "left out by evaluation.speed.server_s=0"
            times |= {"server": None, "server_reason": why}

    edit(folder, "speed.json", leave_out)
    found = dict(costs.not_measured(stored.load(folder)))
    assert found["response times under load"] == "left out by evaluation.speed.server_s=0"
    assert "decisions per second by batch" not in found
    text = " ".join(text for _, text in report(folder).all("li"))
    assert "Response times under load: left out by evaluation.speed.server_s=0." in text


@pytest.mark.parametrize("seed", [5, 1_000_000_005, 3_000_000_005])
def test_a_seed_of_another_purpose_is_told(folder: Path, seed: int) -> None:
    fake.build(folder, ["one"])
    evaluation = stored.load(folder)
    assert evaluation.episodes
    states = []
    for seeds in ((seeding.FIRST_EVALUATION_SEED, seed), (seeding.FIRST_EVALUATION_SEED,)):
        first = evaluation.episodes[0]
        rows = [
            dataclasses.replace(first, shift="none", delta=0.0, evaluation_seed=one)
            for one in seeds
        ]
        rules = conformance.rules(dataclasses.replace(evaluation, episodes=rows))
        (rule,) = (rule for rule in rules if "of training or of choosing" in rule.text)
        states.append(rule.state)
    assert states == [NOT_MET, MET]

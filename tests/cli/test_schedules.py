"""Schedules from one command: what is lived, what is refused, what is not lived twice."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from fakes import linear_policy, saved

from rl_lab import cli, records, seeding
from rl_lab.drift import gathering, storing
from rl_lab.drift.reference import Reference, Settings
from rl_lab.frozen_policy import load_policy

STANDS = [[0.0, 0.0, 0.0, 0.0], [0.1, 0.5, 2.0, 1.0]]
ANCHORS = {"random": 21.8, "solved": 475.0, "ceiling": 500.0, "control_period_s": 0.02}
WORDS = "evaluate policies=[p] name=e evaluation=quick evaluation.context_episodes=0"
WORDS += " evaluation.speed.calls=0 evaluation.clips=0 evaluation.workers=1"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    saved(linear_policy("CartPole-v1", STANDS, [0.0, 0.0], anchors=ANCHORS), tmp_path / "p")
    return tmp_path / "outputs" / "evaluate" / "e"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "drift.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def evaluated(words: str) -> int:
    return cli.main(f"{WORDS} {words}".split())


def test_episodes_for_a_clock(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "shift=[shorter_pole,any/action_noise] schedule=ramp schedule.clock=episodes"
    words += " schedule.start=1 schedule.span=2 evaluation.drift_episodes=4"
    assert evaluated(words) == 0
    found = rows(here)
    assert {row["format_version"] for row in found} == {"1"}
    by_world = {
        (row["shift"], int(row["evaluation_seed"]) % 4): (
            float(row["delta"]),
            row["episode_return"],
        )
        for row in found
    }
    # The training context once for both shifts; nothing moves before the second episode's end.
    assert len(found) == len(by_world) == 3 * 4
    for name in ("shorter_pole", "action_noise"):
        assert [by_world[name, i][0] for i in range(4)] == [0.0, 0.0, 0.5, 1.0]
        assert [by_world[name, i][1] for i in (0, 1)] == [by_world["none", i][1] for i in (0, 1)]
    # What moves is lived for this block alone.
    assert {row.schedule for row in records.read(here / "episodes.csv")} == {"none"}
    (contestant,) = json.loads((here / "scores.json").read_text())["contestants"]
    blocks: list[dict[str, Any]] = contestant["drift"]
    assert [(b["shift"], b["change_episode"], b["episodes"]) for b in blocks] == [
        ("shorter_pole", 1, 3),
        ("action_noise", 1, 3),
    ]
    for block in blocks:
        lost = [
            float(by_world["none", i][1]) - float(by_world[block["shift"], i][1]) for i in (1, 2, 3)
        ]
        assert block["loss_score"]["estimate"] == pytest.approx(sum(lost) / 3 / (475.0 - 21.8))
    out = capsys.readouterr().out
    assert "shorter_pole 1, ramp at episode 1" in out
    assert "action_noise 1, ramp at episode 1" in out


def test_finished_drift_episodes_are_not_lived_again(here: Path) -> None:
    words = "shift=shorter_pole schedule=step schedule.start=3"
    assert evaluated(words) == 0
    table, journal = (here / "drift.csv").read_bytes(), here / "drift.journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    told = [line.replace('"length": ', '"length": 9') for line in lines]
    assert told != lines
    # An interruption in the middle of the last row: that one is lived, the others are believed.
    journal.write_text("".join(told[:-1]) + lines[-1][:30])
    assert evaluated(words) == 0
    lengths = sorted(int(row["length"]) for row in rows(here))
    assert sum(length > 900 for length in lengths) == len(lines) - 1
    journal.write_text("".join(lines))
    assert evaluated(words) == 0
    assert (here / "drift.csv").read_bytes() == table


def refer(place: Path, root: int) -> None:
    """Put a reference beside the policy, of other episodes for another root."""
    settings = Settings(8, 19, 0.05, 0.5, 1000)
    seeds = seeding.reference_seeds(root, settings.episodes)
    policy = load_policy(place)
    made = gathering.gather(policy, lambda: gymnasium.make("CartPole-v1"), seeds, settings)
    assert isinstance(made, Reference)
    storing.save(made, place)


def drift_lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "drift.journal.jsonl").read_text().splitlines()]


def test_another_reference_has_the_drift_lived_anew_and_nothing_else(here: Path) -> None:
    words = "shift=shorter_pole schedule=step schedule.start=3 evaluation.drift_episodes=4"
    place = here.parents[2] / "p"
    assert evaluated(words) == 0
    bare = drift_lines(here)
    assert {(line["reference_sha256"], line["change_step"]) for line in bare} == {("none", 3)}
    assert all(line["no_monitor"].startswith("p has no reference.json") for line in bare)
    # What is believed of the nominal episodes shows in the table: they are not lived again.
    nominal = here / "episodes.journal.csv"
    told = nominal.read_text().replace(",500,0,1\n", ",499,0,1\n")
    assert told != nominal.read_text()
    nominal.write_text(told)
    seen = []
    for root in (0, 1):
        refer(place, root)
        assert evaluated(words) == 0
        lines = drift_lines(here)
        assert len(lines) == len(bare) == 2 * 4
        assert {line["reference_sha256"] for line in lines} == {storing.file_sha256(place)}
        assert {line["no_monitor"] for line in lines} == {""}
        seen.append(sorted(row["residual_after"] for row in rows(here)))
    assert seen[0] != seen[1]
    assert nominal.read_text() == told
    lengths = {row.length for row in records.read(here / "episodes.csv")}
    assert 499 in lengths
    assert 500 not in lengths
    # The reference of before again, and then nothing new: every row is as it was.
    refer(place, 0)
    assert evaluated(words) == 0
    assert sorted(row["residual_after"] for row in rows(here)) == seen[0]
    kept = (here / "drift.journal.jsonl").stat().st_mtime_ns
    assert evaluated(words) == 0
    assert (here / "drift.journal.jsonl").stat().st_mtime_ns == kept


def test_what_comes_after_another_step_is_lived_anew(here: Path) -> None:
    """The training context's episodes too, which are named alike whatever the schedule."""
    words = "shift=shorter_pole schedule=step evaluation.drift_episodes=2"
    for start in (3, 5):
        assert evaluated(f"{words} schedule.start={start}") == 0
        still = [row for row in rows(here) if row["shift"] == "none"]
        assert len(still) == 2
        for row in still:
            left = float(row["episode_return"]) - float(row["return_after"])
            assert left == start


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("schedule=step schedule.clock=episodes", "schedule.start=50 with episodes for a clock"),
        ("schedule=step shift=none", "schedule=step without a shift"),
        ("schedule=step shift=wider_start", "wider_start"),
    ],
)
def test_a_schedule_that_moves_nothing_is_refused_before_any_episode(
    words: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(words) == 2
    assert message in capsys.readouterr().err
    assert not (here / "episodes.csv").exists()
    assert not (here / "plan.json").exists()

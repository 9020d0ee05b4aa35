"""Listing: every folder becomes a row, quickly, whatever state it is in."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rl_lab import listing, paths
from rl_lab.errors import BadInput
from rl_lab.listing import scanning, tables


def run(output: Path, seed: int = 0, status: str = "complete", **changes: Any) -> Path:
    folder = output / "train" / "CartPole-v1" / "ppo-1a2b3c4d" / f"seed_{seed}"
    (folder / "policy").mkdir(parents=True, exist_ok=True)
    (folder / "policy" / "policy.json").write_text("{}")
    card = {
        "format_version": 1,
        "status": status,
        "environment": "CartPole-v1",
        "agent": "ppo",
        "recipe_hash": "1a2b3c4d",
        "seed": seed,
        "steps": 50_000,
        "seconds": 20.0,
        "error": None,
    }
    (folder / "run.json").write_text(json.dumps({**card, **changes}))
    return folder


def beat(folder: Path, age_s: float, **changes: Any) -> None:
    data = {"step": 20_000, "steps": 50_000, "steps_per_second": 1000.0, "episode_return": 123.4}
    data |= {"seconds": 20.0, "updated": time.time() - age_s}
    (folder / "progress.json").write_text(json.dumps({**data, **changes}))


def aged(path: Path, age_s: float) -> None:
    os.utime(path, (time.time() - age_s, time.time() - age_s))


def only_run(output: Path) -> listing.RunRow:
    runs, policies, evaluations = listing.rows(output)
    assert (len(runs), policies, evaluations) == (1, [], [])
    return runs[0]


def text(found: Any, width: int = 100) -> str:
    screen = Console(file=io.StringIO(), width=width)
    screen.print(found)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


# Rows ----------------------------------------------------------------------------------------


def test_a_complete_run(tmp_path: Path) -> None:
    folder = run(tmp_path)
    beat(folder, 1000.0, step=49_000)
    aged(folder / "run.json", 7200.0)
    row = only_run(tmp_path)
    assert (row.status, row.environment, row.agent) == ("complete", "CartPole-v1", "ppo-1a2b3c4d")
    assert (row.seed, row.step, row.steps, row.steps_per_second) == (0, 50_000, 50_000, 2500.0)
    assert row.episode_return == 123.4
    assert math.isnan(row.left_s)
    assert row.age_s == pytest.approx(7200.0, abs=30.0)


def test_a_running_run(tmp_path: Path) -> None:
    folder = run(tmp_path, status="running", steps=0, seconds=0.0)
    aged(folder / "run.json", 600.0)
    beat(folder, 5.0)
    row = only_run(tmp_path)
    assert (row.status, row.step, row.steps, row.steps_per_second) == (
        "running",
        20_000,
        50_000,
        1000.0,
    )
    assert row.left_s == 30.0


@pytest.mark.parametrize(
    ("card_age_s", "beat_age_s", "status"),
    [(5.0, None, "running"), (90.0, None, "stale"), (90.0, 50.0, "running"), (90.0, 70.0, "stale")],
)
def test_a_run_that_gives_no_sign_of_life_is_stale(
    tmp_path: Path, card_age_s: float, beat_age_s: float | None, status: str
) -> None:
    folder = run(tmp_path, status="running", steps=0, seconds=0.0)
    aged(folder / "run.json", card_age_s)
    if beat_age_s is not None:
        beat(folder, beat_age_s)
    assert only_run(tmp_path).status == status


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    run(tmp_path, status="failed", steps=300, error="the motor\nis on fire")
    row = only_run(tmp_path)
    assert (row.status, row.step) == ("failed", 300)
    assert math.isnan(row.steps)
    assert "seed_0: the motor is on fire" in text(listing.table(listing.rows(tmp_path)), 200)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"status": 3, "steps": "many", "seed": "x", "environment": {}, "error": 1}',
        b'{"status": null, "steps": ' + b"9" * 400 + b', "seconds": -1}',
    ],
)
def test_a_damaged_card_is_an_unreadable_row(tmp_path: Path, content: bytes) -> None:
    (run(tmp_path) / "run.json").write_bytes(content)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "policy.json").write_bytes(content)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "scores.json").write_bytes(content)
    found = listing.rows(tmp_path)
    assert [len(part) for part in found] == [1, 1, 1]
    assert found[0][0].status == "unreadable"
    assert (found[0][0].environment, found[0][0].agent) == ("CartPole-v1", "ppo-1a2b3c4d")
    assert "unreadable" in text(listing.table(found))


def test_a_damaged_heartbeat_is_no_heartbeat(tmp_path: Path) -> None:
    folder = run(tmp_path, status="running", steps=0)
    (folder / "progress.json").write_text("{")
    row = only_run(tmp_path)
    assert row.status == "running"
    assert math.isnan(row.step)


def test_policies_outside_runs_and_evaluations(tmp_path: Path) -> None:
    run(tmp_path)
    card = {"environment": {"id": "CartPole-v1"}, "agent": "ppo", "recipe_hash": "1a2b3c4d"}
    (tmp_path / "mine").mkdir()
    card |= {"training_seed": -1, "steps": 70}
    (tmp_path / "mine" / "policy.json").write_text(json.dumps(card))
    (tmp_path / "evaluate" / "x").mkdir(parents=True)
    scores = {"environment": "CartPole-v1", "failures": [{}]}
    scores["contestants"] = [{"name": "ppo"}, {"name": "dqn"}]
    (tmp_path / "evaluate" / "x" / "scores.json").write_text(json.dumps(scores))
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "run.json").write_text("{}")
    runs, policies, evaluations = listing.rows(tmp_path)
    assert len(runs) == 1
    assert [(p.folder.name, p.agent, p.seed, p.steps) for p in policies] == [
        ("mine", "ppo-1a2b3c4d", None, 70)
    ]
    assert [(e.contestants, e.failures) for e in evaluations] == [(("ppo", "dqn"), 1)]


def test_an_unfinished_evaluation_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "evaluate" / "killed"
    (folder / "shards" / "0-of-2").mkdir(parents=True)
    command = "rl-lab evaluate runs=outputs/train name=killed"
    plan = {"format_version": 1, "fingerprint": "x", "environment": "CartPole-v1"}
    plan |= {"contestants": ["dqn", "ppo"], "command": command}
    for place in (folder, folder / "shards" / "0-of-2"):
        (place / "plan.json").write_text(json.dumps(plan))
    (row,) = listing.rows(tmp_path)[2]
    assert (row.folder, row.status, row.contestants) == (folder, "unfinished", ("dqn", "ppo"))
    shown = " ".join(text(listing.table(listing.rows(tmp_path))).split())
    assert "unfinished CartPole-v1 dqn, ppo" in shown
    assert f"The same command goes on where it was: {command}" in shown
    (folder / "scores.json").write_text("{}")
    (row,) = listing.rows(tmp_path)[2]
    assert (row.status, row.note) == ("complete", "")


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert listing.rows(tmp_path) == ([], [], [])
    assert listing.rows(tmp_path / "absent") == ([], [], [])
    assert text(listing.table(([], [], []))).strip() == ""


# Tables --------------------------------------------------------------------------------------


def test_the_table_fits_a_terminal_and_says_where_runs_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    beat(run(tmp_path / "outputs", 1, "running", steps=0), 1.0)
    run(tmp_path / "outputs", 2)
    for card in tmp_path.rglob("run.json"):
        aged(card, 7200.0)
    shown = text(listing.table(listing.rows(tmp_path / "outputs")), 80)
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "running CartPole-v1 ppo-1a2b3c4d 1 20k/50k 1000 123.4 30s 2h" in lines
    assert "complete CartPole-v1 ppo-1a2b3c4d 2 50k 2500 - - 2h" in lines
    assert "in outputs/train/ENVIRONMENT/AGENT/seed_SEED" in lines


def test_a_run_in_another_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(tmp_path).rename(tmp_path / "moved")
    shown = text(listing.table(listing.rows(tmp_path)))
    assert "moved: CartPole-v1 ppo-1a2b3c4d seed 0" in shown
    assert "ENVIRONMENT/AGENT" not in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(math.nan, "-"), (0.0, "0"), (9999.0, "9999"), (50_000.0, "50k"), (1_234_567.0, "1.235M")],
)
def test_counts(value: float, shown: str) -> None:
    assert tables._count(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(math.nan, "-"), (59.4, "59s"), (60.0, "1m"), (7200.0, "2h"), (200_000.0, "2d")],
)
def test_durations(value: float, shown: str) -> None:
    assert tables._duration(value) == shown


def test_watching_shows_what_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(tmp_path, status="running", steps=0)
    beat(folder, 0.0)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            run(tmp_path)
        if len(waits) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(tables.time, "sleep", wait)
    screen = Console(file=io.StringIO(), force_terminal=True, width=100)
    listing.watch(tmp_path, screen)
    assert waits == [1.0] * 4
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert shown.index("running") < shown.rindex("complete")


def test_looking_again_reads_what_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(run(tmp_path, 0, "running"), 0.0)
    beat(run(tmp_path, 1, "running"), 0.0)
    read: list[str] = []
    whole = scanning._content

    def note(path: Path, stamp: tuple[int, int, int]) -> Any:
        read.append(f"{path.parent.name}/{path.name}")
        return whole(path, stamp)

    monkeypatch.setattr(scanning, "_content", note)
    scanner = listing.Scanner()
    names = [f"seed_{k}/{name}.json" for k in (0, 1) for name in ("run", "progress")]
    assert [row.step for row in scanner.rows(tmp_path)[0]] == [20_000] * 2
    assert read == names
    beat(run_folder := run(tmp_path, 1, "running"), 0.0, step=30_000)
    (run_folder / "run.json").unlink()
    run(tmp_path, 1)
    assert [row.status for row in scanner.rows(tmp_path)[0]] == ["running", "complete"]
    assert read == [*names, *names[2:]]
    (tmp_path / "train/CartPole-v1/ppo-1a2b3c4d/seed_0/progress.json").unlink()
    assert math.isnan(scanner.rows(tmp_path)[0][0].step)
    assert read == [*names, *names[2:]]


def test_ctrl_c_ends_watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, status="running", steps=0)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tables.time, "sleep", interrupt)
    listing.watch(tmp_path, Console(file=io.StringIO(), width=100))


# Speed ---------------------------------------------------------------------------------------


def test_a_thousand_runs_are_all_shown(tmp_path: Path) -> None:
    for seed in range(1000):
        beat(run(tmp_path, seed), 1.0)
    found = listing.rows(tmp_path)
    shown = text(listing.table(found))
    assert len(found[0]) == 1000
    assert shown.count("ppo-1a2b3c4d") == 1000


def test_thousands_of_rows_are_lines_as_the_table_has_them(tmp_path: Path) -> None:
    for seed in range(3):
        beat(run(tmp_path, seed), 1.0)
    found = listing.rows(tmp_path)
    few = text(listing.table(found), 120)
    damaged = dataclasses.replace(found[0][0], environment="\x1b[2JEvil-v0", status="failed")
    many = text(listing.table(([*found[0]] * 100 + [damaged], [], [])), 120)
    table, _, notes = many.partition("\n\n")
    assert table.count("ppo-1a2b3c4d") == 301
    assert "Evil-v0" in notes
    assert "\x1b" not in many
    words = [line.split() for line in few.splitlines() if "ppo-1a2b3c4d" in line]
    assert all(many.count(" ".join(row[:3])) for row in words)
    assert [line.split() for line in many.splitlines()[2:5]] == words


def test_listing_imports_nothing_heavy() -> None:
    heavy = ("numpy", "gymnasium", "hydra", "omegaconf", "torch", "onnxruntime", "PIL")
    code = f"import sys; from rl_lab import listing; assert not {{*{heavy}}} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Configurations ------------------------------------------------------------------------------


def test_options_of_a_group_with_their_purpose() -> None:
    options = dict(listing.configured("evaluation"))
    assert options["quick"] == "A first look in seconds; too few episodes to quote."
    assert {"quick", "standard"} <= set(options)
    assert all(purpose for group in ("agent", "env") for _, purpose in listing.configured(group))


def test_the_users_options_and_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "conf_dir", lambda: tmp_path / "conf")
    for name, content in {
        "conf/env/A-v0.yaml": "id: A-v0\n# Late.\n",
        "conf/env/B-v0.yaml": "# @package _global_\n# Of ours.\nid: B-v0\n",
        "conf/env/deep/C-v0.yaml": "id: C-v0\n",
        "conf/env/_part.yaml": "# A part.\n",
        "mine/env/B-v0.yaml": "#Mine.\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert listing.configured("env") == [("A-v0", "Late."), ("B-v0", "Of ours."), ("deep/C-v0", "")]
    assert ("B-v0", "Mine.") in listing.configured("env", tmp_path / "mine")
    with pytest.raises(BadInput, match="Did you mean 'env'"):
        listing.configured("enw")

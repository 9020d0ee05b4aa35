"""The player's data: within the page's budget, and from the evaluation's own folder only."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import fake_evaluation as fake
import pytest
from report_pages import report, rows

from rl_lab import files
from rl_lab.reporting import embedded, playing, stored, write_player, write_report


def clip(sheet: str | None) -> dict[str, Any]:
    return {"sheet": sheet, "pictures": {"columns": 1, "width": 1, "height": 1}, "verdict": "x"}


def index(*sheets: str | None) -> dict[str, Any]:
    clips = {f"clip-{k:02d}": clip(sheet) for k, sheet in enumerate(sheets)}
    players = [{"name": key, "clip": key} for key in clips]
    return {"format_version": 1, "scenes": [{"title": "all", "players": players}], "clips": clips}


def test_pictures_stop_where_the_page_would_pass_5_mb() -> None:
    sheets = {name: bytes(1_000_000) for name in "abcd"}
    shown = embedded(index("a", "b", "c", "d"), sheets.get)
    kept = [key for key, one in shown["clips"].items() if one["sheet"]]
    assert kept == ["clip-00", "clip-01", "clip-02"]
    assert sum(len(one["sheet"] or "") for one in shown["clips"].values()) < 4_500_000
    assert "larger than 5 MB" in shown["clips"]["clip-03"]["pictures_reason"]
    (what, why), *_ = shown["dropped"]
    assert what == "the pictures of 1 of 4 episodes"
    assert "larger than 5 MB" in why


def test_a_smaller_clip_still_fits_after_one_that_did_not() -> None:
    sheets = {"big": bytes(4_000_000), "small": b"small"}
    shown = embedded(index("big", "small"), sheets.get)
    assert shown["clips"]["clip-00"]["sheet"] is None
    uri = shown["clips"]["clip-01"]["sheet"]
    assert base64.b64decode(uri.partition(",")[2]) == b"small"


def full_clip(number: int) -> dict[str, Any]:
    """As large as any clip: all moments, eight actions, as many bytes as a sheet may have."""
    moments = list(range(169))
    return {
        **clip("replays/sheet.webp"),
        "environment": "Humanoid-v5",
        "agent": "sac",
        "training_seed": number,
        "seed": 2_000_000_000 + number,
        "length": 1000,
        "episode_return": 1234.5,
        "ended": "truncated",
        "verdict": "bit-identical over 1000 steps",
        "steps_per_second": 67.0,
        "steps": moments,
        "rewards": [1.234] * 169,
        "returns": [1234.5] * 169,
        "actions": [[-0.1234] * 8] * 168,
        "action_kind": "continuous",
    }


@pytest.mark.parametrize(("contestants", "per_scene"), [(4, 5), (20, 5), (20, 60)])
def test_a_page_of_as_many_clips_as_one_may_ask_for_stays_below_5_mb(
    tmp_path: Path, contestants: int, per_scene: int
) -> None:
    folder = tmp_path / "demo"
    names = fake.names(contestants)
    fake.build(folder, names)
    clips = {f"clip-{k:02d}": full_clip(k) for k in range(contestants * per_scene)}
    players = [{"name": key, "clip": key} for key in clips]
    data = {"format_version": 1, "scenes": [{"title": "all", "players": players}], "clips": clips}
    files.write_bytes(folder / "replays" / "sheet.webp", bytes(390_000))
    files.write_json(folder / "replays" / "replays.json", data)
    size = len(write_report(folder).read_bytes())
    assert 4_000_000 < size < 5_000_000
    (section,) = (text for _, text in report(folder).all("section", id="replays"))
    shown = playing.of_evaluation(stored.load(folder))
    blank = sum(one["sheet"] is None for one in shown["clips"].values())
    assert 0 < blank < len(clips)
    words = f"the pictures of {blank} of {len(clips)} episodes"
    assert f"Not shown: {words}, because this page would become larger than 5 MB." in section
    if per_scene == 60:
        gone = len(clips) - len(shown["clips"])
        assert gone > 0
        assert f"Not shown: {gone} of {len(clips)} episodes, because" in section


def test_texts_count_as_pictures_do() -> None:
    clips = {f"clip-{k}": {"sheet": None, "texts": ["\u2502" * 1000] * 400} for k in range(3)}
    players = [{"name": key, "clip": key} for key in clips]
    shown = embedded({"scenes": [{"title": "", "players": players}], "clips": clips}, {}.get)
    assert ["texts" in one for one in shown["clips"].values()] == [True, False, False]


def test_an_index_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "evaluate" / "demo"
    fake.build(folder, ["one"])
    (tmp_path / "secret.webp").write_bytes(b"secret")
    data = index("../../../secret.webp", str(tmp_path / "secret.webp"), None)
    files.write_json(folder / "replays" / "replays.json", data)
    shown = playing.of_evaluation(stored.load(folder))
    assert [one["sheet"] for one in shown["clips"].values()] == [None] * 3
    assert shown["clips"]["clip-00"]["pictures_reason"] == "their file is gone"


def test_what_could_not_be_lived_again_is_named_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    fake.build(folder, ["one"])
    missing = [{"name": "one", "reason": "its best episode, lived again, returns 1 instead of 2"}]
    recording = {
        "contestant": "one",
        "pick": "best",
        "file": "replays/one-best.json",
        "training_seed": 3,
        "seed": 2_000_000_007,
        "episode_return": 497.25,
        "length": 498,
        "ended": "terminated",
    }
    data = {"format_version": 1, "recordings": [recording], "missing": missing}
    files.write_json(folder / "replays" / "replays.json", data)
    page = report(folder)
    (section,) = (text for _, text in page.all("section", id="replays"))
    assert "because its best episode, lived again, returns 1 instead of 2" in section
    assert "Missing: no episode was kept as pictures" in section
    (row,) = rows(page, "recordings")
    assert float(row["return"][0]["data-value"] or 0) == 497.25
    assert row["command"][1] == "rl-lab replay file=replays/one-best.json"


@pytest.mark.parametrize("content", ["{", '{"format_version": 9}', "[]"])
def test_a_broken_index_is_a_reason(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "demo"
    fake.build(folder, ["one"])
    (folder / "replays").mkdir()
    (folder / "replays" / "replays.json").write_text(content)
    (section,) = (text for _, text in report(folder).all("section", id="replays"))
    assert "Missing: " in section
    assert "replays.json" in section


def test_a_player_of_hostile_names_is_one_page_of_text(tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script>"
    data = index(None)
    data["scenes"][0]["title"] = data["scenes"][0]["players"][0]["name"] = name
    write_player(data, name, tmp_path / "player.html")
    raw = (tmp_path / "player.html").read_text(encoding="utf-8")
    assert raw.count("<script") == 2  # the data and ours
    assert "<script>alert" not in raw

"""What the player plays: clips with their pictures inside the page, within its budget of bytes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2.utils import htmlsafe_json_dumps

from rl_lab import paths, seeding
from rl_lab.reporting import tables, text
from rl_lab.reporting.figures import Missing, distinct
from rl_lab.reporting.stored import Data, Evaluation
from rl_lab.reporting.tables import Column, Table, number, table, words

# Of clips with their pictures, as they stand in the page; the rest of it gets what this leaves of
# 5 MB.
_MOST_BYTES = 4_300_000
_TOO_MUCH = "this page would become larger than 5 MB"
NO_SCENES: dict[str, Any] = {"scenes": [], "clips": {}, "dropped": []}


def embedded(index: Data, read: Callable[[str], bytes | None]) -> dict[str, Any]:
    """Scenes and clips with their pictures as data URIs; what is too much says so.

    The numbers of all clips come first; then their pictures (or texts), in order, as long as they
    fit.

    Args:
        index: `{scenes, clips}` as in `replays.json`.
        read: From the name of a sheet to its bytes; None where it is gone.

    Returns:
        `{scenes, clips, dropped}`; `dropped` are what does not fit, in words, and why.
    """
    stored: Data = index.get("clips") or {}
    clips: dict[str, Any] = {}
    left = _MOST_BYTES
    for key, clip in stored.items():
        bare = {name: value for name, value in clip.items() if name != "texts"}
        bare |= {"sheet": None} | ({"pictures_reason": _TOO_MUCH} if _shows(clip) else {})
        if (cost := _bytes(bare)) <= left:
            clips[key] = bare
            left -= cost
    for key in clips:
        whole = dict(stored[key])
        if whole.get("sheet"):
            whole["sheet"] = _uri(read(str(whole["sheet"])))
            if whole["sheet"] is None:
                clips[key]["pictures_reason"] = "their file is gone"
                continue
        cost = _bytes(whole) - _bytes(clips[key])
        if cost <= left:
            clips[key] = whole
            left -= cost
    scenes = [
        {**scene, "players": [one for one in scene["players"] if one.get("clip") in clips]}
        for scene in index.get("scenes") or []
    ]
    shown = [scene for scene in scenes if scene["players"]]
    return {"scenes": shown, "clips": clips, "dropped": _dropped(clips, len(stored))}


def _shows(clip: Data) -> bool:
    return bool(clip.get("sheet") or clip.get("texts"))


def _bytes(clip: Data) -> int:
    """Of a clip in the page."""
    return len(htmlsafe_json_dumps(clip, separators=(",", ":")))


def _dropped(clips: Data, count: int) -> list[tuple[str, str]]:
    blank = sum(clip.get("pictures_reason") == _TOO_MUCH for clip in clips.values())
    found = [(f"the pictures of {blank} of {count} episodes", blank)]
    found.append((f"{count - len(clips)} of {count} episodes", count - len(clips)))
    return [(words, _TOO_MUCH) for words, number in found if number]


def _uri(sheet: bytes | None) -> str | None:
    if sheet is None:
        return None
    return "data:image/webp;base64," + base64.b64encode(sheet).decode()


def of_evaluation(evaluation: Evaluation) -> dict[str, Any]:
    """The replays of an evaluation; none where it has none."""
    if evaluation.replays is None:
        return NO_SCENES
    folder = evaluation.folder / paths.REPLAYS

    def read(name: str) -> bytes | None:
        # By its last part alone: an index cannot name files of other folders.
        try:
            return (folder / Path(name).name).read_bytes()
        except OSError:
            return None

    return embedded(evaluation.replays, read)


def missing(evaluation: Evaluation) -> list[Missing]:
    """Episodes that could not be lived again, and why."""
    found = (evaluation.replays or {}).get("missing") or []
    return distinct([Missing(str(m.get("name")), str(m.get("reason"))) for m in found])


def recordings(evaluation: Evaluation) -> Table | None:
    """The recordings of best, median and worst episodes; None where there are none."""
    found: list[Data] = (evaluation.replays or {}).get("recordings") or []
    if not found:
        return None
    rows = [
        [
            words(one.get("contestant")),
            words(one.get("pick")),
            _number(one, "episode_return", lambda value: f"{value:.6g}"),
            _number(one, "length", text.count),
            words(one.get("ended")),
            _number(one, "training_seed", seeding.shown),
            _number(one, "seed", str),
            words(f"rl-lab replay file={one.get('file')}"),
        ]
        for one in found
    ]
    columns = [
        tables.CONTESTANT,
        Column("episode", kind="text"),
        Column("return"),
        Column("steps"),
        Column("ended", kind="text"),
        Column("training seed"),
        Column("episode seed"),
        Column("command", "in this evaluation's folder", kind="text"),
    ]
    how = "the command lives an episode again and says whether it is the same to the bit."
    return table("recordings", "Recorded episodes", columns, rows, how)


def _number(data: Mapping[str, Any], key: str, show: Callable[[float], str]) -> tables.Cell:
    return number(data.get(key), show, "not stored in replays.json")

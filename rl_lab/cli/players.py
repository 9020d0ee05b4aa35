"""Pages that play episodes side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import replay, reporting
from rl_lab.cli.episodes import Named
from rl_lab.errors import BadInput

SUFFIX = ".html"


def write(
    scenes: Mapping[str, Sequence[Named]],
    title: str,
    path: Path,
    drawing: Mapping[str, Any],
    imports: tuple[str, ...],
) -> bool:
    """Write a page that plays some episodes.

    Args:
        scenes: Title -> episodes that are played side by side.
        title: The page's heading.
        path: The file.
        drawing: `fps`, `size` and `overlay` as asked for; None where nothing is.
        imports: Packages that register environments.

    Returns:
        Whether every episode, lived again, was the recorded one to the bit.

    Raises:
        BadInput: The drawing cannot be had.
        Failed: The page cannot be written.
    """
    if not drawing["overlay"]:
        raise BadInput(
            f"overlay=false with {path.name}",
            "overlay=true, or a file of pictures",
            "A player shows step, reward and return beside its pictures, never on them.",
        )
    clips: dict[str, replay.Clip] = {}
    staged = []
    for heading, players in scenes.items():
        keys = [f"clip-{len(clips) + place:02d}" for place in range(len(players))]
        for key, player in zip(keys, players, strict=True):
            clips[key] = replay.clip(
                player.episode, imports, size=drawing["size"], fps=drawing["fps"]
            )
        named = [{"name": p.name, "clip": key} for p, key in zip(players, keys, strict=True)]
        staged.append({"title": heading, "players": named})
    index = {
        "scenes": staged,
        "clips": {key: {**c.data, "sheet": key if c.sheet else None} for key, c in clips.items()},
    }
    sheets = {key: made.sheet for key, made in clips.items()}
    reporting.write_player(reporting.embedded(index, sheets.get), title, path)
    print(f"player: {path}")
    for player, made in zip((p for ps in scenes.values() for p in ps), clips.values(), strict=True):
        if not made.identical:
            print(f"{player.name}: {made.data['verdict']}")
    return all(made.identical for made in clips.values())

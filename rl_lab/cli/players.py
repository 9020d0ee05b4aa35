"""Pages that play episodes side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rl_lab import replay, reporting
from rl_lab.cli.episodes import Named
from rl_lab.replay import ClipSettings


def write(
    scenes: Mapping[str, Sequence[Named]],
    title: str,
    path: Path,
    settings: ClipSettings,
    fps: float | None,
    imports: tuple[str, ...],
) -> bool:
    """Write a page that plays some episodes.

    Args:
        scenes: Title -> episodes that are played side by side.
        title: The page's heading.
        path: The file.
        settings: How the episodes are kept.
        fps: Pictures per second, in place of the environment's own speed.
        imports: Packages that register environments.

    Returns:
        Whether every episode, lived again, was the recorded one to the bit.

    Raises:
        BadInput: The speed or the size is of no use.
        Failed: The page cannot be written.
    """
    clips: dict[str, replay.Clip] = {}
    staged = []
    for heading, players in scenes.items():
        keys = [f"clip-{len(clips) + place:02d}" for place in range(len(players))]
        for key, player in zip(keys, players, strict=True):
            clips[key] = replay.clip(player.episode, settings, imports, fps)
        named = [{"name": p.name, "clip": key} for p, key in zip(players, keys, strict=True)]
        staged.append({"title": heading, "players": named})
    index = {
        "scenes": staged,
        "clips": {key: {**c.data, "sheet": key if c.sheet else None} for key, c in clips.items()},
    }
    sheets = {key: made.sheet for key, made in clips.items()}
    content = reporting.embedded(index, sheets.get)
    reporting.write_player(content, title, path)
    print(f"player: {path}")
    for what, why in content["dropped"]:
        print(f"without {what}: {why}")
    for player, made in zip((p for ps in scenes.values() for p in ps), clips.values(), strict=True):
        if not made.identical:
            print(f"{player.name}: {made.data['verdict']}")
    return all(made.identical for made in clips.values())

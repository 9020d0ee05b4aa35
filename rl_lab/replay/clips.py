"""Clips: what a player needs to show an episode, all pictures of it on one sheet."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rl_lab import files, paths
from rl_lab.errors import BadInput
from rl_lab.replay import looking, pictures
from rl_lab.replay.drawing import frames_apart, require_sizes
from rl_lab.replay.recording import Replay
from rl_lab.replay.simulation import Moment, verify

_MOST_ACTIONS = 8
_MOST_MOVING = 42  # pictures; TensorBoard keeps them in memory
_MARKED = re.compile(r"\x1b\[4\d(?:;\d+)*m(.*?)\x1b\[0m")  # text on a coloured ground
_CODES = re.compile(r"\x1b\[[0-9;]*m")


@dataclasses.dataclass(frozen=True)
class ClipSettings:
    """How an episode is kept for a player; values in `conf/clip`.

    Attributes:
        size: Pixels of the longer side.
        most_frames: Pictures; longer episodes are thinned.
        least_frames: Pictures that are kept of an episode however many bytes they take.
        most_bytes: Pictures that would together take more are thinned to `least_frames` at worst.
    """

    size: int
    most_frames: int
    least_frames: int
    most_bytes: int


@dataclasses.dataclass(frozen=True)
class Clip:
    """An episode as a player shows it.

    Attributes:
        data: Plain data, see `docs/formats.md`.
        sheet: All pictures side by side in rows, a WebP; None for text or where there are none.
        identical: Whether the episode, lived again, was the recorded one to the bit.
    """

    data: Mapping[str, Any]
    sheet: bytes | None
    identical: bool


def clip(
    replay: Replay,
    settings: ClipSettings,
    imports: Sequence[str] = (),
    fps: float | None = None,
) -> Clip:
    """Live the episode again and make a clip of it.

    Where the environment cannot be drawn, rewards and actions alone are shown, and why.

    Args:
        replay: The recording.
        settings: How large, and how many pictures.
        imports: Packages that register environments.
        fps: Pictures per second, in place of the environment's own speed.

    Raises:
        BadInput: The speed or the size is of no use.
        EnvironmentFault: The environment failed on the way.
    """
    require_sizes(fps, settings.size)
    try:
        return _clip(replay, settings, imports, fps)
    except BadInput as error:
        verdict = verify(replay, imports)
        facts = _facts(replay, _moments(replay, settings.most_frames), fps or 30.0, str(verdict))
        data = {**facts, "pictures": None, "pictures_reason": error.came}
        return Clip(data, None, verdict.identical)


def _clip(
    replay: Replay, settings: ClipSettings, imports: Sequence[str], fps: float | None
) -> Clip:
    mode, own_fps = looking.mode(replay.environment, (looking.PICTURES, looking.TEXT), imports)
    size, most = settings.size, settings.most_frames
    if mode == looking.TEXT:
        every = frames_apart(replay.length, own_fps, most)
        seen = looking.look(replay, mode, every, imports, lambda frame, _: _plain(frame))
        shown: dict[str, Any] = {"texts": seen.frames}
        sheet = None
    else:
        first = pictures.scaled(looking.first(replay, mode, imports), size)
        every = frames_apart(replay.length, own_fps, _affordable(first, settings))
        seen = looking.look(replay, mode, every, imports, lambda f, _: pictures.scaled(f, size))
        made = pictures.sheet(seen.frames)
        shape = {"columns": made.columns, "width": made.width, "height": made.height}
        shown, sheet = {"pictures": shape}, made.data
    speed = fps * every if fps else own_fps
    facts = _facts(replay, seen.moments, speed, str(seen.verdict))
    return Clip({**facts, **shown}, sheet, seen.verdict.identical)


def _affordable(picture: Image.Image, settings: ClipSettings) -> int:
    """How many such pictures a clip may have: rich ones take long to draw, too."""
    each = len(pictures.sheet([picture]).data)
    return min(settings.most_frames, max(settings.least_frames, settings.most_bytes // each))


def _plain(frame: str) -> str:
    """Text without colours; what stood on a coloured ground, often the agent, is in brackets."""
    return _CODES.sub("", _MARKED.sub(r"[\1]", frame))


def _moments(replay: Replay, most: int) -> list[Moment]:
    """What the recording alone knows of the moments a clip would show."""
    every = frames_apart(replay.length, 30.0, most)
    totals = [0.0, *np.cumsum(replay.rewards).tolist()]
    shown = [*range(0, replay.length, every), replay.length]
    return [
        Moment(
            step,
            replay.actions[step - 1] if step else None,
            float(replay.rewards[step - 1]) if step else 0.0,
            totals[step],
            replay.ended if step == replay.length else "",
            "",
        )
        for step in shown
    ]


def _facts(replay: Replay, moments: Sequence[Moment], fps: float, verdict: str) -> dict[str, Any]:
    actions = [np.atleast_1d(m.action).ravel() for m in moments if m.action is not None]
    whole = replay.actions.dtype.kind in "iu"
    return {
        "environment": replay.environment["id"],
        "agent": replay.agent,
        "training_seed": replay.training_seed,
        "seed": replay.seed,
        "shift": replay.shift["name"] if replay.shift else None,
        "delta": replay.delta,
        "length": replay.length,
        "episode_return": replay.episode_return,
        "ended": replay.ended,
        "verdict": verdict,
        "steps_per_second": fps,
        "steps": [m.step for m in moments],
        "rewards": [_short(m.reward) for m in moments],
        "returns": [_short(m.episode_return) for m in moments],
        "actions": [[_short(float(value)) for value in a[:_MOST_ACTIONS]] for a in actions],
        "action_kind": "discrete" if whole else "continuous",
    }


def _short(value: float) -> float:
    """Four digits are enough to look at, and a third of the page's bytes."""
    return float(f"{value:.4g}")


@dataclasses.dataclass(frozen=True)
class MovingPicture:
    """An animated PNG."""

    data: bytes
    width: int
    height: int


def moving_pictures(folder: Path) -> Iterator[tuple[str, MovingPicture]]:
    """The first scene of an evaluation's replays, each player's clip as a moving picture.

    Args:
        folder: Where `replays.json` and the sheets are; nothing comes where there are none.
    """
    path = folder / paths.REPLAYS_INDEX
    index = files.read_json(path) if path.is_file() else {}
    for player in (index.get("scenes") or [{"players": []}])[0]["players"]:
        clip = index["clips"][player["clip"]]
        if clip["sheet"]:
            yield player["name"], _moving(clip, folder / Path(clip["sheet"]).name)


def _moving(clip: Mapping[str, Any], sheet: Path) -> MovingPicture:
    shape, count = clip["pictures"], len(clip["steps"])
    every = -(-count // _MOST_MOVING)
    frames = pictures.cut(sheet, shape["columns"], shape["width"], shape["height"], count)[::every]
    steps_apart = clip["length"] / max(1, count - 1) * every
    fps = max(1.0, clip["steps_per_second"] / steps_apart)
    return MovingPicture(pictures.animation(frames, fps, ".png"), shape["width"], shape["height"])

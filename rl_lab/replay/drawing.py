"""Looking at a recorded episode: in a file, which needs no display, or in a window."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import files
from rl_lab.errors import BadInput, closest
from rl_lab.replay import looking, pictures
from rl_lab.replay.recording import Replay, file_stem
from rl_lab.replay.simulation import Moment, Verdict, fresh_env, simulate, verdict

_MOST_FRAMES = 300
_FASTEST, _SLOWEST_THINNED = 50.0, 10.0
_SIZES = range(32, 2049)
_LAST_LOOK_S = 1.0
_TEXT = ".txt"


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A file that shows an episode.

    Attributes:
        path: Where it is.
        frames: Pictures in it.
        every: It shows every n-th step, and the last.
        fps: Pictures per second.
        verdict: Whether what was drawn is what was recorded, to the bit.
    """

    path: Path
    frames: int
    every: int
    fps: float
    verdict: Verdict


def render(
    replay: Replay,
    to: str | Path,
    fps: float | None = None,
    overlay: bool = True,
    size: int | None = None,
    imports: Sequence[str] = (),
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> Rendered:
    """Live the episode again and write it as an animation, or as text where `to` ends in .txt.

    Every n-th step is shown, n being such that there are at most 300 frames and 50 a second. A
    thinned episode plays in real time as long as that leaves 10 frames a second, else faster.
    An environment that only prints text is written as text, whatever the suffix.

    Args:
        replay: The recording.
        to: A file ending in .webp, .png (animated), .gif, .mp4 or .txt; a folder gets a .webp.
        fps: Pictures per second, in place of the environment's own speed.
        overlay: Put step, reward, return and action beneath each picture.
        size: Pixels of the longer side; None for at most 480.
        imports: Packages that register environments.
        on_step: Told which step of how many has been looked at.

    Raises:
        BadInput: The suffix, speed or size is of no use, or the environment cannot be drawn.
        EnvironmentFault: The environment failed on the way.
        Failed: The disk is full or read-only.
    """
    path = target(Path(to), file_stem(replay))
    require_sizes(fps, size)
    mode, own_fps = looking.mode(replay.environment, _modes(path), imports)
    every = frames_apart(replay.length, own_fps)
    fps = fps or playing_fps(own_fps, every)
    draw = functools.partial(
        _text_frame if mode == looking.TEXT else picture, overlay=overlay, size=size
    )
    seen = looking.look(replay, mode, every, imports, draw, on_step)
    if mode == looking.TEXT:
        path = path.with_suffix(_TEXT)
        files.write_text(path, "\n".join(seen.frames))
    else:
        pictures.bind(path, seen.frames, fps)
    return Rendered(path, len(seen.frames), every, fps, seen.verdict)


def require_drawable(environment: Mapping[str, Any], to: Path, imports: Sequence[str] = ()) -> None:
    """Refuse, before an episode is lived, a file into which its environment cannot be drawn.

    Args:
        environment: The environment's recipe, as data.
        to: As for `render`.
        imports: Packages that register environments.

    Raises:
        BadInput: The suffix is of no use, or the environment has no render mode for it.
    """
    looking.mode(environment, _modes(target(to, "")), imports)


def _modes(path: Path) -> tuple[str, ...]:
    as_text = path.suffix.lower() == _TEXT
    return (looking.TEXT,) if as_text else (looking.PICTURES, looking.TEXT)


def spell(
    replay: Replay,
    tell: Callable[[str], None],
    overlay: bool = True,
    imports: Sequence[str] = (),
) -> Verdict:
    """Live the episode again and tell every step as text, colours and all.

    Args:
        replay: The recording.
        tell: Given the text of one step at a time.
        overlay: Put step, reward, return and action above each.
        imports: Packages that register environments.

    Returns:
        Whether what was told is what was recorded.

    Raises:
        BadInput: The environment has no text.
        EnvironmentFault: The environment failed on the way.
    """
    mode, _ = looking.mode(replay.environment, (looking.TEXT,), imports)
    seen = looking.look(
        replay, mode, 1, imports, lambda frame, now: tell(_text_frame(frame, now, overlay, None))
    )
    return seen.verdict


def require_sizes(fps: float | None, size: int | None) -> None:
    """Refuse a speed or a size that is of no use.

    Raises:
        BadInput: Says which.
    """
    if fps is not None and not 0 < fps <= 1000:
        raise BadInput(f"fps={fps}", "pictures per second, from above 0 to 1000")
    if size is not None and size not in _SIZES:
        raise BadInput(f"size={size}", f"pixels, from {_SIZES.start} to {_SIZES.stop - 1}")


def frames_apart(length: int, fps: float, most: int = _MOST_FRAMES) -> int:
    """Every how many steps a frame is kept, for an episode of `length` steps."""
    return max(1, math.ceil(length / (most - 1)), math.ceil(fps / _FASTEST))


def playing_fps(own_fps: float, every: int) -> float:
    """Pictures per second of an episode that shows every n-th step."""
    return max(own_fps / every, min(own_fps, _SLOWEST_THINNED))


def target(to: Path, stem: str) -> Path:
    """The file to write; a folder gets a .webp of that stem.

    Raises:
        BadInput: The suffix is none that can be written.
    """
    if to.is_dir() or not to.suffix:
        return to / f"{stem}.webp"
    known = (*pictures.FORMATS, pictures.FILM, _TEXT)
    if to.suffix.lower() not in known:
        raise BadInput(
            f"to={to}",
            f"a file ending in {', '.join(known)} or .html, or a folder",
            closest(to.suffix.lower(), known) or "Animated .webp plays in every browser.",
        )
    pictures.require_format(to)
    return to


def picture(frame: Any, moment: Moment, overlay: bool, size: int | None) -> Any:
    """A frame in the size asked for, with its caption where there is to be one."""
    scaled = pictures.scaled(frame, size)
    return pictures.captioned(scaled, moment) if overlay else scaled


def _text_frame(frame: str, moment: Moment, overlay: bool, size: int | None) -> str:
    return f"{pictures.line(moment)}\n{frame}\n" if overlay else f"{frame}\n"


def watch(replay: Replay, imports: Sequence[str] = ()) -> Verdict:
    """Live the episode again in a window, at the environment's own speed.

    Returns:
        Whether what was shown is what was recorded.

    Raises:
        BadInput: There is no display, or the environment opens no window.
    """
    if not looking.has_display():
        raise BadInput(
            "no display to open a window on", "a desktop session", "Give to=FILE.webp instead."
        )
    looking.quiet_pygame()
    with fresh_env(replay, None, imports) as env:
        modes = env.metadata.get("render_modes") or []
    if "human" not in modes:
        raise BadInput(
            f"environment {replay.environment['id']} opens no window",
            "the render mode human",
            "Give to=FILE.webp instead.",
        )
    first: Moment | None = None
    with fresh_env(replay, "human", imports) as env:
        for moment in simulate(env, replay):
            looking.require_window()
            first = first or (moment if moment.difference else None)
        time.sleep(_LAST_LOOK_S)
    return verdict(replay, first)

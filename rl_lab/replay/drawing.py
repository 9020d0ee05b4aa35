"""Looking at a recorded episode: in a file, which needs no display, or in a window."""

from __future__ import annotations

import dataclasses
import functools
import io
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from rl_lab import files
from rl_lab.errors import BadInput, closest
from rl_lab.replay import pictures
from rl_lab.replay.recording import Replay, file_stem
from rl_lab.replay.simulation import Moment, Verdict, fresh_env, simulate, verdict

_MOST_FRAMES = 300
_FALLBACK_FPS = 30.0
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


def has_display() -> bool:
    """Whether a window can be opened, as far as the session's variables say."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _quiet_pygame() -> None:
    """No greeting, and no search for a display where there is none."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if not has_display():
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")


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
        to: A file ending in .webp, .png (animated), .gif or .txt; a folder gets a .webp.
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
    path = _target(replay, Path(to))
    if fps is not None and not 0 < fps <= 1000:
        raise BadInput(f"fps={fps}", "pictures per second, from above 0 to 1000")
    if size is not None and size not in _SIZES:
        raise BadInput(f"size={size}", f"pixels, from {_SIZES.start} to {_SIZES.stop - 1}")
    _quiet_pygame()
    mode, own_fps = _mode(replay, path, imports)
    if not has_display():
        # After MuJoCo was imported: where the library is missing, drawing then fails, with a
        # message of ours, and not the import.
        os.environ.setdefault("MUJOCO_GL", "egl")
    every = frames_apart(replay.length, own_fps)
    fps = fps or max(own_fps / every, min(own_fps, _SLOWEST_THINNED))
    draw = functools.partial(
        _text_frame if mode == "ansi" else _picture, overlay=overlay, size=size
    )
    seen, found = _look(replay, mode, every, imports, draw, on_step)
    if mode == "ansi":
        path = path.with_suffix(_TEXT)
        files.write_text(path, "\n".join(seen))
    else:
        pictures.bind(path, seen, fps)
    return Rendered(path, len(seen), every, fps, found)


def frames_apart(length: int, fps: float) -> int:
    """Every how many steps a frame is kept, for an episode of `length` steps."""
    return max(1, math.ceil(length / (_MOST_FRAMES - 1)), math.ceil(fps / _FASTEST))


def _target(replay: Replay, to: Path) -> Path:
    if to.is_dir() or not to.suffix:
        return to / f"{file_stem(replay)}.webp"
    known = (*pictures.FORMATS, _TEXT)
    if to.suffix.lower() not in known:
        raise BadInput(
            f"to={to}",
            f"a file ending in {', '.join(known)}, or a folder",
            closest(to.suffix.lower(), known) or "Animated .webp plays in every browser.",
        )
    return to


def _mode(replay: Replay, path: Path, imports: Sequence[str]) -> tuple[str, float]:
    """The render mode for a file, and the environment's frames per second."""
    with fresh_env(replay, None, imports) as env:
        modes, fps = env.metadata.get("render_modes") or [], env.metadata.get("render_fps")
    wanted = ("ansi",) if path.suffix.lower() == _TEXT else ("rgb_array", "ansi")
    for mode in wanted:
        if mode in modes:
            return mode, float(fps or _FALLBACK_FPS)
    raise BadInput(
        f"environment {replay.environment['id']} has the render modes {', '.join(modes) or 'none'}",
        " or ".join(wanted),
        "Give to=FILE.webp." if "rgb_array" in modes else "It cannot be drawn into a file.",
    )


def _look(
    replay: Replay,
    mode: str,
    every: int,
    imports: Sequence[str],
    draw: Callable[[Any, Moment], Any],
    on_step: Callable[[int, int], None],
) -> tuple[list[Any], Verdict]:
    seen: list[Any] = []
    first: Moment | None = None
    with fresh_env(replay, mode, imports) as env:
        for moment in simulate(env, replay):
            first = first or (moment if moment.difference else None)
            if moment.step % every == 0 or moment.ended or moment.step == replay.length:
                seen.append(draw(_frame(env, mode), moment))
            on_step(moment.step, replay.length)
    return seen, verdict(replay, first)


def _frame(env: gymnasium.Env[Any, Any], mode: str) -> Any:
    try:
        frame = env.render()
    except Exception as error:
        raise _cannot_draw(env, f"{type(error).__name__}: {error}") from error
    if mode == "ansi":
        return frame.getvalue() if isinstance(frame, io.StringIO) else str(frame)
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.dtype != np.uint8:
        raise _cannot_draw(env, f"render() gave {type(frame).__name__}, not a picture")
    return frame


def _picture(frame: Any, moment: Moment, overlay: bool, size: int | None) -> Any:
    picture = pictures.scaled(frame, size)
    return pictures.captioned(picture, moment) if overlay else picture


def _text_frame(frame: str, moment: Moment, overlay: bool, size: int | None) -> str:
    return f"{pictures.line(moment)}\n{frame}\n" if overlay else f"{frame}\n"


def _cannot_draw(env: gymnasium.Env[Any, Any], what: str) -> BadInput:
    name = env.spec.id if env.spec else type(env.unwrapped).__name__
    mujoco = any("mujoco" in kind.__module__ for kind in type(env.unwrapped).__mro__)
    return BadInput(
        f"environment {name} cannot be drawn: {' '.join(what.split())[:200]}",
        "pictures from its render()",
        "MuJoCo draws with OpenGL. Without a display: apt-get install libegl1 libgl1 (Debian, "
        "Ubuntu) and leave MUJOCO_GL unset; `rl-lab doctor` checks it."
        if mujoco
        else "`rl-lab doctor` shows what is missing for pictures.",
    )


def watch(replay: Replay, imports: Sequence[str] = ()) -> Verdict:
    """Live the episode again in a window, at the environment's own speed.

    Returns:
        Whether what was shown is what was recorded.

    Raises:
        BadInput: There is no display, or the environment opens no window.
    """
    if not has_display():
        raise BadInput(
            "no display to open a window on", "a desktop session", "Give to=FILE.webp instead."
        )
    _quiet_pygame()
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
            first = first or (moment if moment.difference else None)
        time.sleep(_LAST_LOOK_S)
    return verdict(replay, first)

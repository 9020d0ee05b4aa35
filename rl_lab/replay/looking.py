"""Living a recorded episode again and looking at it: in pictures, or as text."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from rl_lab.environments import EnvironmentRecipe, make
from rl_lab.errors import BadInput
from rl_lab.replay.recording import Replay
from rl_lab.replay.simulation import Moment, Verdict, fresh_env, simulate, verdict

PICTURES, TEXT = "rgb_array", "ansi"
_FALLBACK_FPS = 30.0
_UNSEEN = ("dummy", "offscreen", "evdev")


@dataclasses.dataclass(frozen=True)
class Seen:
    """What there was to see of an episode.

    Attributes:
        frames: What was made of each moment looked at.
        moments: Those moments.
        verdict: Whether they are what was recorded, to the bit.
    """

    frames: list[Any]
    moments: list[Moment]
    verdict: Verdict


def has_display() -> bool:
    """Whether a window can be opened, as far as the session's variables say."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def require_window() -> None:
    """Refuse a window that nobody sees: where SDL finds no display it draws into nothing.

    Raises:
        BadInput: pygame draws, and not onto a display.
    """
    pygame = sys.modules.get("pygame")
    if pygame is None or not pygame.display.get_init():
        return
    driver = pygame.display.get_driver()
    if driver in _UNSEEN:
        asked = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or "none"
        raise BadInput(
            f"no window on the display {asked} (SDL draws to {driver!r})",
            "a display that can be opened",
            "Give to=FILE.webp instead, or check DISPLAY.",
        )


def quiet_pygame() -> None:
    """No greeting, and no search for a display where there is none."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if not has_display():
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")


def mode(
    environment: Mapping[str, Any], wanted: Sequence[str], imports: Sequence[str]
) -> tuple[str, float]:
    """The first of the wanted render modes that an environment has, and its frames per second.

    Args:
        environment: Its recipe, as data.
        wanted: Render modes, the dearest first.
        imports: Packages that register environments.

    Raises:
        BadInput: The environment has none of them.
    """
    quiet_pygame()
    env = make(EnvironmentRecipe.from_data(environment), imports=tuple(imports))
    modes, fps = env.metadata.get("render_modes") or [], env.metadata.get("render_fps")
    env.close()
    if not has_display():
        # After MuJoCo was imported: where the library is missing, drawing then fails, with a
        # message of ours, and not the import.
        os.environ.setdefault("MUJOCO_GL", "egl")
    for name in wanted:
        if name in modes:
            return name, float(fps or _FALLBACK_FPS)
    raise BadInput(
        f"environment {environment['id']} has the render modes {', '.join(modes) or 'none'}",
        " or ".join(wanted),
        "Give to=FILE.webp." if PICTURES in modes else "It cannot be drawn into a file.",
    )


def look(
    replay: Replay,
    render_mode: str,
    every: int,
    imports: Sequence[str],
    draw: Callable[[Any, Moment], Any],
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> Seen:
    """Live the episode again, drawing every n-th step and the last.

    Args:
        replay: The recording.
        render_mode: As `mode` found it.
        every: n.
        imports: Packages that register environments.
        draw: From what `render()` gave and its moment to what is kept.
        on_step: Told which step of how many has been looked at.

    Raises:
        BadInput: The environment cannot be drawn.
        EnvironmentFault: The environment failed on the way.
    """
    frames: list[Any] = []
    moments: list[Moment] = []
    first: Moment | None = None
    with fresh_env(replay, render_mode, imports) as env:
        for moment in simulate(env, replay):
            first = first or (moment if moment.difference else None)
            if moment.step % every == 0 or moment.ended or moment.step == replay.length:
                frames.append(draw(_frame(env, render_mode), moment))
                moments.append(moment)
            on_step(moment.step, replay.length)
    return Seen(frames, moments, verdict(replay, first))


def first(replay: Replay, render_mode: str, imports: Sequence[str]) -> Any:
    """What `render()` gives at the beginning of the episode.

    Raises:
        BadInput: The environment cannot be drawn.
    """
    with fresh_env(replay, render_mode, imports) as env:
        env.reset(seed=replay.seed)
        return _frame(env, render_mode)


def _frame(env: gymnasium.Env[Any, Any], render_mode: str) -> Any:
    try:
        frame = env.render()
    except Exception as error:
        raise _cannot_draw(env, f"{type(error).__name__}: {error}") from error
    if render_mode == TEXT:
        return frame.getvalue() if isinstance(frame, io.StringIO) else str(frame)
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.dtype != np.uint8:
        raise _cannot_draw(env, f"render() gave {type(frame).__name__}, not a picture")
    return frame


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

"""One film of several episodes, one after the other, each under a title of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab.errors import BadInput
from rl_lab.replay import drawing, looking, pictures
from rl_lab.replay.drawing import Rendered
from rl_lab.replay.recording import Replay

_MOST_FRAMES, _FEWEST_PER_TAKE = 480, 24
_PAUSE_S = 0.6


@dataclasses.dataclass(frozen=True)
class Take:
    """An episode and the title above it."""

    replay: Replay
    title: str


def film(
    takes: Sequence[Take],
    to: Path,
    fps: float | None = None,
    size: int | None = None,
    overlay: bool = True,
    imports: Sequence[str] = (),
    on_take: Callable[[int, int], None] = lambda take, takes: None,
) -> list[Rendered]:
    """Write all takes into one animation, thinned alike, so that one step lasts as long in each.

    Args:
        takes: Episodes of one environment, in order.
        to: A file ending in .webp, .png (animated), .gif or .mp4.
        fps: Pictures per second; None for the environment's own speed.
        size: Pixels of the longer side; None for at most 480.
        overlay: Put step, reward, return and action beneath each picture.
        imports: Packages that register environments.
        on_take: Told which take of how many is done.

    Returns:
        Of each take how it was shown, and whether it was what was recorded.

    Raises:
        BadInput: There is nothing to show, or the environment cannot be drawn as pictures.
        Failed: The disk is full or read-only.
    """
    if not takes:
        raise BadInput("a film of no episodes", "one episode or more")
    drawing.require_sizes(fps, size)
    mode, own_fps = require_filmable(takes[0].replay.environment, to, imports)
    most = max(_FEWEST_PER_TAKE, _MOST_FRAMES // len(takes))
    every = max(drawing.frames_apart(take.replay.length, own_fps, most) for take in takes)
    speed = fps or drawing.playing_fps(own_fps, every)
    frames: list[Any] = []
    shown = []
    for number, take in enumerate(takes, 1):
        seen = looking.look(
            take.replay,
            mode,
            every,
            imports,
            lambda frame, moment, title=take.title: pictures.titled(  # type: ignore[misc]
                drawing.picture(frame, moment, overlay, size), title
            ),
        )
        frames += [*seen.frames, *[seen.frames[-1]] * round(_PAUSE_S * speed)]
        shown.append(Rendered(to, len(seen.frames), every, speed, seen.verdict))
        on_take(number, len(takes))
    pictures.bind(to, frames, speed)
    return shown


def require_filmable(
    environment: Mapping[str, Any], to: Path, imports: Sequence[str] = ()
) -> tuple[str, float]:
    """Refuse, before an episode is lived, a film that could not be made of it.

    Args:
        environment: The environment's recipe, as data.
        to: As for `film`.
        imports: Packages that register environments.

    Returns:
        The render mode, and the environment's pictures per second.

    Raises:
        BadInput: The suffix is of no use, or the environment has no pictures.
    """
    known = (*pictures.FORMATS, pictures.FILM)
    if to.suffix.lower() not in known:
        expected = f"a file ending in {', '.join(known)} or .html"
        raise BadInput(f"to={to}", expected, "Text has no film.")
    pictures.require_format(to)
    return looking.mode(environment, (looking.PICTURES,), imports)

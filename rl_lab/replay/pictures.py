"""Frames: scaled, captioned, and bound into one animated file."""

from __future__ import annotations

import dataclasses
import importlib
import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rl_lab import files
from rl_lab.errors import BadInput
from rl_lab.replay.simulation import Moment

# Seen on 250 frames of HalfCheetah-v5: `minimize_size` is faster than the key frames that WebP
# would otherwise put in, and the file a third smaller.
FORMATS: dict[str, dict[str, Any]] = {
    ".webp": {"format": "WEBP", "quality": 75, "method": 2, "minimize_size": True},
    ".png": {"format": "PNG"},
    ".gif": {"format": "GIF"},
}
FILM = ".mp4"
_SHEET_QUALITY, _SHEET_MAX_PX = 60, 16_383  # WebP's own limit
_LONG_SIDE, _READABLE_SIDE = 480, 240
_ONE_LINE = 200  # pixels; below, every field gets a line of its own
_GROUND, _INK, _SIGNAL = "#15171c", "#e6e6e6", "#ffb454"
_HOLD_MS = 1500


def scaled(frame: np.ndarray, size: int | None) -> Image.Image:
    """A frame `[height, width, colour]` as a picture whose longer side has `size` pixels.

    Without a size large frames are brought down to 480 pixels; small ones are enlarged by a whole
    factor, so that a caption beneath them can be read.
    """
    picture = Image.fromarray(np.ascontiguousarray(frame)).convert("RGB")
    longer = max(picture.size)
    if size is None and longer < _READABLE_SIDE:
        size = longer * -(-_READABLE_SIDE // longer)
    size = size or min(longer, _LONG_SIDE)
    if size == longer:
        return picture
    width, height = (max(1, round(side * size / longer)) for side in picture.size)
    enlarged = size >= 2 * longer
    method = Image.Resampling.NEAREST if enlarged else Image.Resampling.HAMMING
    return picture.resize((width, height), method)


def captioned(picture: Image.Image, moment: Moment) -> Image.Image:
    """The picture with a strip beneath it: step, reward, return, action; nothing is hidden."""
    font = _font(max(10, min(18, picture.width // 26)))
    rows = _rows(moment, picture.width)
    row_px = round(font.size * 1.5)
    strip_px = row_px * len(rows) + row_px // 3
    canvas = Image.new("RGB", (picture.width, picture.height + strip_px), _GROUND)
    canvas.paste(picture, (0, 0))
    draw = ImageDraw.Draw(canvas)
    for index, row in enumerate(rows):
        top = picture.height + row_px // 3 + index * row_px
        cell = picture.width / len(row)
        for column, text in enumerate(row):
            draw.text((4 + column * cell, top), _trimmed(text, font, cell - 6), _INK, font)
    if moment.ended:
        _mark_end(draw, moment.ended, canvas.size, font, row_px)
    return canvas


def titled(picture: Image.Image, title: str) -> Image.Image:
    """The picture with a line of text above it."""
    font = _font(max(11, min(20, picture.width // 24)))
    strip_px = round(font.size * 1.8)
    canvas = Image.new("RGB", (picture.width, picture.height + strip_px), _GROUND)
    canvas.paste(picture, (0, strip_px))
    text = _trimmed(title, font, picture.width - 8)
    ImageDraw.Draw(canvas).text((4, round(font.size * 0.3)), text, _INK, font)
    return canvas


def _rows(moment: Moment, width: int) -> list[list[str]]:
    *numbers, action = _fields(moment)
    return [numbers, [action]] if width >= _ONE_LINE else [*([n] for n in numbers), [action]]


def _fields(moment: Moment) -> list[str]:
    return [
        f"step {moment.step}",
        f"reward {_two_decimals(moment.reward)}",
        f"return {_two_decimals(moment.episode_return)}",
        f"action {_action(moment.action)}",
    ]


def line(moment: Moment) -> str:
    """What a caption says, as one line of text."""
    return "  ".join(filter(None, [*_fields(moment), moment.ended]))


def _two_decimals(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # adding zero turns -0.0 into 0.0


def _action(action: Any) -> str:
    if action is None:
        return "-"
    array = np.asarray(action).ravel()
    return " ".join(
        f"{round(float(a), 2) + 0.0:+.2f}" if array.dtype.kind == "f" else str(a) for a in array
    )


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _trimmed(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _mark_end(
    draw: ImageDraw.ImageDraw,
    text: str,
    size: tuple[int, int],
    font: ImageFont.FreeTypeFont,
    row_px: int,
) -> None:
    left = size[0] - 8 - font.getlength(text)
    draw.rectangle((left - 4, size[1] - row_px, *size), _GROUND)
    draw.text((left, size[1] - row_px), text, _SIGNAL, font)


def bind(path: Path, pictures: Sequence[Image.Image], fps: float) -> None:
    """Write one animated file; it repeats, and holds the last frame so that the end is seen.

    Raises:
        BadInput: An .mp4 is asked for and its library is not installed.
        Failed: The disk is full or read-only.
    """
    suffix = path.suffix.lower()
    data = _film(pictures, fps) if suffix == FILM else animation(pictures, fps, suffix)
    files.write_bytes(path, data)


def animation(pictures: Sequence[Image.Image], fps: float, suffix: str) -> bytes:
    """The bytes of an animated picture, of a suffix in `FORMATS`."""
    frame_ms = max(1, round(1000 / fps))
    durations = [frame_ms] * (len(pictures) - 1) + [max(frame_ms, _HOLD_MS)]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        save_all=True,
        append_images=pictures[1:],
        duration=durations,
        loop=0,
        **FORMATS[suffix],
    )
    return buffer.getvalue()


def require_format(path: Path) -> None:
    """Refuse, before anything is drawn, a file for which a library is missing.

    Raises:
        BadInput: It is an .mp4, and PyAV is not installed.
    """
    if path.suffix.lower() == FILM:
        _library()


def _library() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise BadInput(
            "PyAV is not installed",
            "the package that writes .mp4",
            'pip install "rl-lab[video]", or give to=FILE.webp.',
        ) from error


def _film(pictures: Sequence[Image.Image], fps: float) -> bytes:
    """The same as H.264 in an MP4 file, which has no use for odd numbers of pixels."""
    av = _library()
    width, height = (side - side % 2 for side in pictures[0].size)
    held = [pictures[-1]] * round(fps * _HOLD_MS / 1000)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in [*pictures, *held]:
            frame = av.VideoFrame.from_image(picture.crop((0, 0, width, height)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Pictures of one size side by side in rows.

    Attributes:
        data: A WebP file.
        columns: Pictures in a row.
        width: Of one picture, in pixels.
        height: Of one picture, in pixels.
    """

    data: bytes
    columns: int
    width: int
    height: int


def sheet(pictures: Sequence[Image.Image]) -> Sheet:
    """All pictures on one sheet: one file to decode, and any of them at hand at once."""
    width, height = pictures[0].size
    columns = max(1, min(round((len(pictures) * height / width) ** 0.5), _SHEET_MAX_PX // width))
    rows = -(-len(pictures) // columns)
    canvas = Image.new("RGB", (columns * width, rows * height))
    for place, picture in enumerate(pictures):
        canvas.paste(picture, (place % columns * width, place // columns * height))
    buffer = io.BytesIO()
    canvas.save(buffer, format="WEBP", quality=_SHEET_QUALITY, method=2)
    return Sheet(buffer.getvalue(), columns, width, height)


def cut(path: Path, columns: int, width: int, height: int, count: int) -> list[Image.Image]:
    """The first `count` pictures of a sheet."""
    with Image.open(path) as sheet:
        whole = sheet.convert("RGB")
    corners = [(k % columns * width, k // columns * height) for k in range(count)]
    return [whole.crop((x, y, x + width, y + height)) for x, y in corners]

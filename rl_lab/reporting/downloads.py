"""Raw data inside the page, so that a report that was sent on still has its numbers."""

from __future__ import annotations

import base64
import dataclasses
import gzip
from pathlib import Path

from rl_lab import paths
from rl_lab.reporting import text

_PLAIN_UP_TO, _MOST_PACKED = 24_000, 90_000  # bytes


@dataclasses.dataclass(frozen=True)
class Download:
    """A file to take from the page.

    Attributes:
        name: Of the original.
        uri: Its content as a data URI; "" where it is not inside the page.
        saved_as: The name it is saved under.
        note: Its size, or why it is not inside.
    """

    name: str
    uri: str
    saved_as: str
    note: str


def downloads(folder: Path) -> list[Download]:
    """The stored records of an evaluation."""
    return [_download(folder / name) for name in (paths.EPISODES, paths.SCORES, paths.SPEED)]


def _download(path: Path) -> Download:
    try:
        data = path.read_bytes()
    except OSError:
        return Download(path.name, "", "", f"missing: there is no {path.name}")
    size = text.size(len(data))
    kind, saved_as = ("text/csv" if path.suffix == ".csv" else "application/json"), path.name
    if len(data) > _PLAIN_UP_TO:
        # Without a time, so that equal files give an equal page.
        data, kind, saved_as = gzip.compress(data, 9, mtime=0), "application/gzip", f"{saved_as}.gz"
    if len(data) > _MOST_PACKED:
        return Download(path.name, "", "", f"{size}, too large for this page; it lies beside it")
    uri = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return Download(path.name, uri, saved_as, size)

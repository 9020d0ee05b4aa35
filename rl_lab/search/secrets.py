"""Passwords of databases: kept from prints and command lines, handed over by a file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from rl_lab import files

_NAME = "storage.url"
_IN_QUERY = re.compile(r"(?<=[?&])(?:\w*password|passfile)=[^&#]*&?", re.IGNORECASE)


def without_password(url: str) -> str:
    """A database's address as it may be shown; whatever could be a password is left out."""
    scheme, slashes, rest = url.partition("//")
    head, at, tail = rest.rpartition("@")
    shown = f"{scheme}{slashes}{head.partition(':')[0]}{at}{tail}"
    return _IN_QUERY.sub("", shown).rstrip("?&")


def shown(words: Iterable[str], url: str | None) -> list[str]:
    """A command's words as they may be shown.

    Args:
        words: Among them perhaps `storage=`.
        url: What that word says.
    """
    if url is None:
        return list(words)
    storage = f"storage={without_password(url)}"
    return [storage if word.lstrip("+").startswith("storage=") else word for word in words]


@contextlib.contextmanager
def lent(url: str | None, folder: Path) -> Iterator[None]:
    """Keep an address with a password where workers find it, for its owner alone to read.

    It is gone at the end; so is one that a killed command has left, also where there is nothing to
    lend now.

    Args:
        url: The address, with or without one.
        folder: Of the study.

    Raises:
        Failed: The folder cannot be written to.
    """
    path = folder / _NAME
    try:
        if url is None or url == without_password(url):
            path.unlink(missing_ok=True)
        else:
            files.write_bytes(path, url.encode(), mode=0o600)
        yield
    finally:
        path.unlink(missing_ok=True)


def borrowed(url: str | None, folder: Path) -> str | None:
    """A worker's address, with the password that is lent for it, if one is."""
    try:
        kept = (folder / _NAME).read_text(encoding="utf-8")
    except OSError:
        return url
    return kept if without_password(kept) == url else url

"""Passwords of databases: kept from prints and command lines, handed over by a file."""

from __future__ import annotations

import re
from collections.abc import Iterable
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


def keep(url: str | None, folder: Path) -> None:
    """Write an address with a password where workers find it, for its owner alone to read.

    Args:
        url: The address, with or without one.
        folder: Of the study.

    Raises:
        Failed: The folder cannot be written to.
    """
    if url is None or url == without_password(url):
        return
    files.write_bytes(folder / _NAME, url.encode(), mode=0o600)


def whole(url: str | None, folder: Path) -> str | None:
    """The address with the password that was kept for it, if one was."""
    try:
        kept = (folder / _NAME).read_text(encoding="utf-8")
    except OSError:
        return url
    return kept if without_password(kept) == url else url

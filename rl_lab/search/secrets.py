"""Passwords of databases: kept from prints and command lines, handed over by a file."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from rl_lab import files

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
def lent(url: str | None, folder: Path) -> Iterator[str | None]:
    """Keep an address with a password where workers find it, for its owner alone to read.

    Each command lends a file of its own and holds its lock: several may work on one study, and the
    first to end takes nothing from the others. What a killed command has left is removed by the
    next, also where that has nothing to lend.

    Args:
        url: The address, with or without one.
        folder: Of the study.

    Yields:
        The name of what is lent, for `borrowed`; None where there is no password.

    Raises:
        Failed: The folder cannot be written to.
    """
    _remove_left(folder)
    if url is None or url == without_password(url):
        yield None
        return
    path = folder / f"storage-{uuid.uuid4().hex}.url"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except OSError as error:
        raise files.cannot_write(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            # Locked before there is anything in it: an empty file is nobody's leftover.
            _locked(file, wait=True)
            try:
                file.write(url.encode())
                file.flush()
                os.fsync(file.fileno())  # workers may be on other machines
            except OSError as error:
                raise files.cannot_write(path, error) from error
            yield path.name
    finally:
        path.unlink(missing_ok=True)


def borrowed(url: str | None, folder: Path, name: str | None) -> str | None:
    """A worker's address, with the password that its command lends, if it does.

    Args:
        url: As the worker was told it.
        folder: Of the study.
        name: What `lent` said.
    """
    if name is None:
        return url
    try:
        kept = (folder / os.path.basename(name)).read_text(encoding="utf-8")
    except OSError:
        return url
    return kept if without_password(kept) == url else url


def _remove_left(folder: Path) -> None:
    """Remove what was lent by commands that are no more: the system has let go of its locks."""
    for path in folder.glob("storage-*.url"):
        with contextlib.suppress(OSError), path.open("rb+") as file:
            if _locked(file, wait=False) and file.read(1):
                path.unlink()


def _locked(file: IO[bytes], wait: bool) -> bool:
    """Take a file's lock until it is closed; False where another has it, or there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True

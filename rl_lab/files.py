"""Files that are whole or absent: atomic writes, strict JSON, hashes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from rl_lab.errors import BadInput, Failed

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def write_bytes(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part.

    Raises:
        Failed: The folder cannot be written to, or is full.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            sync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise cannot_write(path, error) from error


def leftovers(path: Path) -> set[str]:
    """Names of the files beside `path` that processes left which died while they wrote it."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")
    return {p.name for p in path.parent.iterdir() if pattern.fullmatch(p.name)}


def sync(handle: int) -> None:
    """Wait until a file's bytes are on the disk itself."""
    full = getattr(fcntl, "F_FULLFSYNC", None) if fcntl else None
    if full is not None:  # macOS, whose fsync stops at the disk's own cache
        fcntl.fcntl(handle, full)
    else:
        os.fsync(handle)


def cannot_write(path: Path, error: OSError) -> Failed:
    """The one message for a read-only or full disk."""
    return Failed(
        f"cannot write {path}: {error.strerror or error}",
        "a writable folder with free space",
        "Free some space or choose another folder with output=FOLDER.",
    )


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, see `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: Any) -> None:
    """Write plain data as JSON, keys in the order given; NaN becomes null."""
    text = json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, f"{text}\n")


def _finite(data: Any) -> Any:
    if isinstance(data, float) and data != data:
        return None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data


def read_json(path: Path) -> Any:
    """Read a JSON file of ours.

    Raises:
        BadInput: The file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_bytes().decode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(
            f"cannot read {path}: {reason}",
            "a JSON file",
            "Check the path, or make the folder anew.",
        ) from error


def read_versioned(path: Path, version: int, do: str) -> dict[str, Any]:
    """Read a JSON object that says of which format version it is.

    Args:
        path: The file.
        version: The one version that the caller knows.
        do: What a user may do about another one.

    Raises:
        BadInput: The file cannot be read, or is of another version.
    """
    data = read_json(path)
    found = data.get("format_version") if isinstance(data, dict) else None
    if type(found) is not int or found != version:
        expected = f"version {version}, the one this rl-lab reads"
        raise BadInput(f"{path} has format_version {found!r}", expected, do)
    return dict(data)


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def canonical_hash(data: Any) -> str:
    """Eight hexadecimal digits that name plain data: equal data, equal digits."""
    return canonical_sha256(data)[:8]


def canonical_sha256(data: Any) -> str:
    """The SHA-256 of plain data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode())

"""A zip file that nobody vouches for: checked, then read into memory; never extracted."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from rl_lab.errors import BadInput

_MIB = 2**20
_LARGEST_FILE = 512 * _MIB
_LARGEST_CONTENT = 1024 * _MIB
_MOST_MEMBERS = 10_000  # a torch file inside has one per tensor
_MOST_EXPANSION = 100  # deflate reaches 1000 on zeros; weights stay below 2
# What zipfile raises on one broken file or another; ValueError is a seek before the beginning.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
_ENCRYPTED = 0x1 | 0x40 | 0x2000


@dataclasses.dataclass(frozen=True)
class Archive:
    """A zip file's bytes and those of the members that were asked for.

    Attributes:
        name: The file's name, without its folder.
        sha256: Of the whole file.
        content: The whole file.
        members: Content by member name; members that the file lacks are absent.
    """

    name: str
    sha256: str
    content: bytes
    members: dict[str, bytes]


def read(path: Path, wanted: Iterable[str]) -> Archive:
    """Read some members of a zip file after checking all of them.

    Raises:
        BadInput: The file is missing or too large, is no zip, or breaks one of the rules.
    """
    content = read_file(path, _LARGEST_FILE)
    checked(content, path.name)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        names = set(file.namelist())
        members = {name: _member(file, name, path.name) for name in wanted if name in names}
    return Archive(path.name, hashlib.sha256(content).hexdigest(), content, members)


def read_file(path: Path, limit: int) -> bytes:
    """A regular file's bytes.

    Raises:
        BadInput: There is none, or it is larger than `limit`.
    """
    try:
        if not path.is_file():
            raise BadInput(f"{path} is not a file", "an existing file", "Check the path.")
        size = path.stat().st_size
        if size > limit:
            raise BadInput(f"{path} has {size} bytes", f"at most {limit} bytes")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error


def checked(content: bytes, where: str) -> None:
    """Refuse a zip that could reach outside itself, hide something or fill the memory.

    Args:
        content: The file.
        where: What to call it in messages.

    Raises:
        BadInput: It is no zip, or breaks a rule; the message names the rule.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            infos = file.infolist()
    except _BROKEN as error:
        raise BadInput(
            f"{where} is not a zip file: {error}", "a zip that stable-baselines3's save() wrote"
        ) from error
    if fault := _fault(infos, len(content)):
        raise BadInput(
            f"{where}: {fault}",
            "a zip that stable-baselines3's save() wrote",
            "Nothing was read from it. Do not use this file.",
        )


def _fault(infos: list[zipfile.ZipInfo], size: int) -> str:
    """The first rule that a list of members breaks, as a clause; "" where none is broken."""
    if len(infos) > _MOST_MEMBERS:
        return f"it has {len(infos)} members"
    names = [info.filename for info in infos]
    doubled = sorted({name for name in names if names.count(name) > 1}) if names else []
    if doubled:
        return f"it has two members called {doubled[0]!r}"
    if sum(info.file_size for info in infos) > _LARGEST_CONTENT:
        return f"its members would fill more than {_LARGEST_CONTENT} bytes"
    if sum(info.compress_size for info in infos) > size:
        return "its members overlap"
    return next(filter(None, map(_member_fault, infos)), "")


def _member_fault(info: zipfile.ZipInfo) -> str:
    # The name as stored: zipfile itself cuts at a NUL and turns backslashes on some systems.
    name = info.orig_filename
    if name.startswith("/") or "\\" in name or ":" in name or "\0" in name:
        return f"a member is called {name!r}"
    if ".." in name.split("/"):
        return f"the member {name!r} points outside"
    if info.flag_bits & _ENCRYPTED:
        return f"the member {name!r} is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"the member {name!r} is compressed in an unusual way"
    if info.file_size > _MOST_EXPANSION * max(info.compress_size, 1024):
        return f"the member {name!r} expands {info.file_size} bytes out of {info.compress_size}"
    return ""


def _member(file: zipfile.ZipFile, name: str, where: str) -> bytes:
    try:
        # Reads no more than the declared size, and compares the checksum.
        return file.read(name)
    except _BROKEN as error:
        raise BadInput(
            f"{where}: the member {name!r} is damaged: {error}",
            "an undamaged file",
            "Copy or download it again.",
        ) from error

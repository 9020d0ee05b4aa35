"""Bytes and plain data from a folder that nobody vouches for."""

from __future__ import annotations

import collections
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

from rl_lab.errors import BadInput
from rl_lab.frozen_policy.rules import Rule, about, reason, refused

# Half of it is what saving spends on golden observations at most.
CARD_BYTES = 8 * 2**20
# 16 million weights; the largest network of the test grid has under a million.
GRAPH_BYTES = 64 * 2**20
_DEPTH = 32
# An empty list is 2 bytes of text and 56 bytes of memory, so their number is bounded beforehand.
_CONTAINERS = 500_000
_TEXTS = 100_000
_DIGITS = 20  # of a 64-bit integer, with its sign
# No number without such an exponent or that many digits is infinite; to check each number costs as
# much as to read it.
_EXPONENT = re.compile(r"[eE]\+?[0-9]{3}")
_RUN = 100
_COPY = "Copy the folder (cp -rL) and load the copy."


def read_file(path: Path, cap: int) -> bytes:
    """The bytes of one regular file, read once.

    Raises:
        BadInput: It is missing, a link, a device or a pipe, shared with another name, or larger
            than `cap`.
    """
    # Pipes and devices can block or act when they are opened; ordinary ones are told apart first,
    # and those swapped in afterwards by the flags and the second look.
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        _require_regular(os.lstat(path))
        handle = os.open(path, flags)
    except OSError as error:
        raise _unreadable(error) from error
    try:
        status = os.fstat(handle)
        _require_regular(status)
        if status.st_size > cap:
            raise _too_large(status.st_size, cap)
        data = _read(handle, status.st_size)
    except OSError as error:
        raise _unreadable(error) from error
    finally:
        os.close(handle)
    if len(data) > status.st_size:
        raise refused(Rule.FILES, "it grew while it was read", "a file that is whole", _COPY)
    return data


def _read(handle: int, size: int) -> bytes:
    """A file of a size; a byte more where it is longer by now, and less where it is shorter."""
    # A file object would ask the system three times more; thousands of cards are read at a time.
    data = os.read(handle, size + 1)
    while len(data) < size and (more := os.read(handle, size + 1 - len(data))):
        data += more
    return data


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no regular file"
        raise refused(Rule.FILES, f"it is {kind}", "a regular file of its own", _COPY)
    # A second name lies anywhere: whoever writes there would change what was checked here.
    # (None left: it was replaced while it was being opened, and is read as it was.)
    if status.st_nlink > 1:
        text = f"it is a hard link, one of {status.st_nlink} names of the same file"
        raise refused(Rule.FILES, text, "a file of its own", _COPY)


def _unreadable(error: OSError) -> BadInput:
    return refused(Rule.FILES, f"cannot read it: {error.strerror}", "a regular file")


def _too_large(size: int, cap: int) -> BadInput:
    return refused(Rule.SIZES, f"{size} bytes or more", f"at most {cap}")


def read_json(path: Path) -> Any:
    """Plain data from a JSON file beside a frozen policy, read with the same care as its card.

    Raises:
        BadInput: It breaks one of the rules on files, sizes and JSON.
    """
    with about(path):
        return parse_json(read_file(path, CARD_BYTES))


def parse_json(data: bytes) -> Any:
    """Plain data from strict JSON.

    Raises:
        BadInput: It is not UTF-8, not JSON, nested too deep, too finely divided, or holds a key
            twice, NaN, an infinity or an integer of more than 64 bits.
    """
    try:
        text = data.decode()
        outside = _outside_texts(text)
        _require_shallow(outside)
        may_overflow = _EXPONENT.search(outside) is not None or _has_long_number(outside)
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_finite if may_overflow else None,
        )
    except (ValueError, RecursionError) as error:
        raise refused(Rule.JSON, f"it is not strict JSON: {reason(error)}") from error


def _outside_texts(text: str) -> str:
    """JSON without what stands between quotes."""
    if text.count("[") + text.count("{") > _CONTAINERS or text.count('"') > 2 * _TEXTS:
        raise ValueError(f"more than {_CONTAINERS} lists and objects or {_TEXTS} texts")
    # Escapes go first, then every second piece between quotes is inside a text.
    return "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])


def _has_long_number(outside: str) -> bool:
    """Whether there may be 200 digits in a row: a piece of half that length would be digits."""
    return any(outside[i : i + _RUN].isdigit() for i in range(0, len(outside), _RUN))


def _require_shallow(outside: str) -> None:
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", outside):
        depth += 1 if bracket in "[{" else -1
        if depth > _DEPTH:
            raise ValueError(f"nested deeper than {_DEPTH}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice, _ = collections.Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object")
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    number = int(text)
    if not -(2**63) <= number < 2**64:
        raise ValueError(f"the integer {number} does not fit into 64 bits")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is infinite")
    return number

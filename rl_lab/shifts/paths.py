"""Attributes of an environment by path: `length`, `model.opt.gravity[2]`, `road[*].road_friction`.

A path names numbers only: what is private, or holds anything else, cannot be reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from rl_lab.errors import BadInput, closest

_SEGMENT = re.compile(r"([A-Za-z]\w*)(?:\[([^\[\]]*)\])?")
_INDEX = re.compile(r"-?\d+|:")


class Slot:
    """One place that holds a number or an array of numbers, and what stood there first.

    Args:
        owner: The object with the attribute.
        name: The attribute.
        index: Which of an array's or a sequence's elements; None for all of it.
        path: The whole path, for messages.
    """

    def __init__(self, owner: Any, name: str, index: Any, path: str) -> None:
        self.owner, self._name, self._index = owner, name, index
        held = getattr(owner, name)
        self._is_array = isinstance(held, np.ndarray)
        self._is_sequence = not self._is_array and not _is_number(held)
        try:
            # Copied: what stands there may be a view that changes with it.
            self.first: Any = np.array(self._read(), dtype=None).copy()
        except (TypeError, IndexError, ValueError) as error:
            raise BadInput(f"{path}: {error}", "an index that is there") from error
        if self.first.dtype.kind not in "fiub" or (self._is_sequence and self.first.ndim > 1):
            raise BadInput(f"{path} is {held!r:.80}", "a number or an array of numbers")
        if self._is_array and held.dtype.kind != "f":
            raise BadInput(f"{path} holds {held.dtype} numbers", "floating-point numbers")
        self._held = held

    def _read(self) -> Any:
        held = getattr(self.owner, self._name)
        if self._index is None:
            return held if not self._is_sequence else list(held)
        return held[self._index] if self._is_array else list(held)[self._index[0]]

    def restore(self) -> None:
        """Put back what stood there first, to the bit and in its first type."""
        if self._is_array:
            self._held[self._index if self._index is not None else ...] = self.first
        else:
            setattr(self.owner, self._name, self._held)

    def write(self, value: Any) -> None:
        """Put a number, or an array of the first one's shape, there."""
        if self._is_array:
            self._held[self._index if self._index is not None else ...] = value
        elif not self._is_sequence:
            setattr(self.owner, self._name, value)
        elif self._index is None:
            # A sequence stays one of plain numbers; assigned anew, so that a class's own is spared.
            values = np.broadcast_to(value, self.first.shape).tolist()
            setattr(self.owner, self._name, type(self._held)(values))
        else:
            values = [float(v) for v in self._held]
            values[self._index[0]] = float(value)
            setattr(self.owner, self._name, tuple(values))

    def scale(self, factor: float) -> None:
        """Put the first number times a factor there."""
        scaled = self.first * factor
        self.write(scaled if scaled.ndim else float(scaled))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number | np.bool_)


def slots(root: Any, path: str) -> list[Slot]:
    """The places that a path names; several where it has `[*]`.

    Raises:
        BadInput: There is no such attribute (says which name is nearest), or it is no number.
    """
    *parents, last = _parse(path)
    owners = [root]
    for name, index in parents:
        owners = [child for owner in owners for child in _children(owner, name, index, path)]
    name, index = last
    return [Slot(_with(owner, name, path), name, index, path) for owner in owners]


def number(root: Any, path: str) -> float:
    """The one number at a path.

    Raises:
        BadInput: As `slots`, or it is not one number.
    """
    found = slots(root, path)
    if len(found) != 1 or found[0].first.ndim:
        raise BadInput(f"{path} is not one number", "the path of a single number")
    return float(found[0].first)


def target(root: Any, path: str) -> Any:
    """The object at a path, whatever it is."""
    for name, index in _parse(path):
        root = getattr(_with(root, name, path), name)
        root = root if index is None else root[index[0]]
    return root


def _parse(path: str) -> list[tuple[str, Any]]:
    segments = [_SEGMENT.fullmatch(part) for part in path.split(".")]
    if not all(segments):
        raise BadInput(f"the path {path!r}", "names joined by points, such as model.opt.gravity[2]")
    return [(s[1], _index(s[2], path)) for s in segments if s]


def _index(text: str | None, path: str) -> Any:
    if text is None or text == "*":
        return text
    parts = [part.strip() for part in text.split(",")]
    if not all(_INDEX.fullmatch(part) for part in parts):
        raise BadInput(f"the index [{text}] of {path}", "whole numbers, : or *")
    return tuple(slice(None) if part == ":" else int(part) for part in parts)


def _children(owner: Any, name: str, index: Any, path: str) -> Iterator[Any]:
    held = getattr(_with(owner, name, path), name)
    if index is None:
        yield held
    elif index == "*":
        yield from held
    else:
        yield held[index[0]]


def _with(owner: Any, name: str, path: str) -> Any:
    if not hasattr(owner, name):
        kind = type(owner).__name__
        whole = "" if path == name else f" (in {path})"
        raise BadInput(
            f"{kind} has no attribute {name!r}{whole}",
            "an attribute of env.unwrapped",
            closest(name, [n for n in dir(owner) if not n.startswith("_")]),
        )
    return owner

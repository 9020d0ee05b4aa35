"""What a card may say about spaces and arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from rl_lab import spaces
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import layout
from rl_lab.frozen_policy.rules import Rule, refused, short

DTYPES = frozenset(
    [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    + ["float16", "float32", "float64"]
)
_RANK = 8
_CHOICES = 2**31
_KEYS = 256
# Spaces, masks and state together; 4 million numbers are 20 stacks of four 210x160 pictures.
_ELEMENTS = 2**22
_INFINITIES = ("inf", "-inf")


def check(card: dict[str, Any]) -> None:
    """Check spaces, state and masks of a card whose fields have the right types.

    Raises:
        BadInput: A space or a state is not one that rl-lab writes, or is too large.
    """
    count = space_size(card["observation_space"], "observation_space")
    if isinstance(card["action_space"], dict) and card["action_space"].get("kind") == "dict":
        raise _wrong("action_space: kind 'dict'", "box or a discrete kind")
    count += space_size(card["action_space"], "action_space")
    count += _state_size(card["state"])
    if card["action_masks"]:
        try:
            count += layout.mask_width(card["action_space"])
        except BadInput as error:
            raise _wrong(error.came, error.expected) from error
    _require_small(count, "spaces, state and masks together")
    taken = [*layout.input_names(card["observation_space"]), *(s["name"] for s in card["state"])]
    if len({*taken, layout.MASK, "action"}) != len(taken) + 2:
        raise _wrong(f"the names {short(sorted(taken))}", "a name of its own for each input")
    for name in ("observation_space", "action_space"):
        try:
            spaces.from_data(card[name])
        except BadInput as error:
            raise _wrong(f"{name}: {error.came}", error.expected) from error


def space_size(data: Any, where: str, nested: bool = False) -> int:
    """Check one space without making it; how many numbers a member has."""
    kind = data.get("kind") if isinstance(data, dict) else None
    if kind == "dict" and not nested:
        require_keys(data, {"kind", "spaces"}, where, Rule.SPACES)
        members = data["spaces"]
        if not isinstance(members, dict) or not 1 <= len(members) <= _KEYS:
            raise _wrong(f"{where}: spaces {short(members)}", f"1 to {_KEYS} spaces by key")
        for key in members:
            require_text(key, f"{where}: key", Rule.SPACES)
        return sum(space_size(s, f"{where}[{short(k)}]", True) for k, s in members.items())
    if not isinstance(kind, str) or kind not in _KINDS:
        kinds = ", ".join(_KINDS) + ("" if nested else ", dict")
        raise _wrong(f"{where}: {short(kind if isinstance(data, dict) else data)}", kinds)
    fields, size = _KINDS[kind]
    require_keys(data, {"kind", *fields}, where, Rule.SPACES)
    return size(data, where)


def _box_size(data: dict[str, Any], where: str) -> int:
    count = shape_size(data["shape"], where)
    if not isinstance(data["dtype"], str) or data["dtype"] not in DTYPES:
        raise _wrong(f"{where}: dtype {short(data['dtype'])}", "a NumPy number type")
    low, high = (_bounds(data, side, count, where) for side in ("low", "high"))
    if (low > high).any():
        raise _wrong(f"{where}: low above high", "low <= high everywhere")
    return count


def _bounds(data: dict[str, Any], side: str, count: int, where: str) -> np.ndarray:
    bound, kind = data[side], np.dtype(data["dtype"])
    values = bound if isinstance(bound, list) else [bound]
    if isinstance(bound, list) and len(bound) != count:
        raise _wrong(f"{where}: {len(bound)} numbers in {side}", f"1 or {count}")
    for value in values:
        if kind.kind == "f":
            fits = value in _INFINITIES or (
                is_number(value) and abs(value) <= float(np.finfo(kind).max)
            )
        else:
            fits = is_integer(value, int(np.iinfo(kind).min), int(np.iinfo(kind).max))
        if not fits:
            raise _wrong(f"{where}: {side} {short(value)}", f"a {kind.name} or 'inf' or '-inf'")
    numbers = [float(v) if isinstance(v, str) else v for v in values]
    return np.array(numbers, np.float64 if kind.kind == "f" else object)


def _multi_size(data: dict[str, Any], where: str) -> int:
    nvec = data["nvec"]
    if not isinstance(nvec, list) or not nvec or not all(is_integer(n, 1, _CHOICES) for n in nvec):
        raise _wrong(f"{where}: nvec {short(nvec)}", "a list of positive integers")
    return len(nvec)


def _discrete_size(data: dict[str, Any], where: str) -> int:
    if not is_integer(data["n"], 1, _CHOICES):
        raise _wrong(f"{where}: n {short(data['n'])}", "a positive integer")
    return 1


def _binary_size(data: dict[str, Any], where: str) -> int:
    _discrete_size(data, where)
    return _require_small(data["n"], where)


_KINDS: dict[str, tuple[tuple[str, ...], Callable[[dict[str, Any], str], int]]] = {
    "box": (("shape", "dtype", "low", "high"), _box_size),
    "discrete": (("n",), _discrete_size),
    "multi_discrete": (("nvec",), _multi_size),
    "multi_binary": (("n",), _binary_size),
}


def _state_size(state: list[Any]) -> int:
    count = 0
    for i, entry in enumerate(state):
        where = f"state[{i}]"
        require_keys(entry, {"name", "shape", "dtype"}, where, Rule.SPACES)
        require_text(entry["name"], f"{where}: name", Rule.SPACES)
        if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
            raise _wrong(f"{where}: dtype {short(entry['dtype'])}", "a NumPy number type")
        count += shape_size(entry["shape"], where)
    return count


def shape_size(shape: Any, where: str) -> int:
    """Check a shape; its number of elements."""
    positive = isinstance(shape, list) and all(is_integer(n, 1, _CHOICES) for n in shape)
    if not positive or len(shape) > _RANK:
        raise _wrong(f"{where}: shape {short(shape)}", f"at most {_RANK} positive integers")
    return _require_small(math.prod(shape), where)


def _require_small(count: int, where: str) -> int:
    if count > _ELEMENTS:
        raise _wrong(f"{where}: {count} numbers", f"at most {_ELEMENTS}")
    return count


def require_keys(data: Any, keys: Iterable[str], where: str, rule: Rule) -> None:
    """Refuse anything but an object with exactly these keys."""
    if not isinstance(data, dict):
        raise refused(rule, f"{where}: {short(data)}", "an object")
    if wrong := sorted({*data} ^ {*keys}):
        text = ", ".join(key if key.isidentifier() else short(key) for key in wrong[:5])
        raise refused(rule, f"{where}: missing or unknown fields {text}", ", ".join(sorted(keys)))


def require_text(
    value: Any, where: str, rule: Rule, longest: int = 200, empty: bool = False
) -> None:
    """Refuse anything but a printable text."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > longest:
        raise refused(rule, f"{where} {short(value)}", f"up to {longest} printable characters")
    if not value and not empty:
        raise refused(rule, f"{where} is empty", "a text")


def is_integer(value: Any, least: int, most: int) -> bool:
    """Whether a value is an integer in a range; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(came: str, expected: str) -> BadInput:
    return refused(Rule.SPACES, came, expected)

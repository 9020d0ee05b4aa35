"""From plain data to typed arguments, with errors that name the key."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rl_lab.errors import BadInput, closest

T = TypeVar("T")


def build(kind: type[T], data: Mapping[str, Any], where: str) -> T:
    """A dataclass from a section of the configuration.

    Args:
        kind: The dataclass; it has no defaults, YAML has them.
        data: The section.
        where: The section's name, for messages.

    Raises:
        BadInput: A key is unknown, missing, or of another type.
    """
    hints = typing.get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in data:
        if key not in names:
            raise BadInput(
                f"unknown key '{where}.{key}'", f"one of {', '.join(names)}", closest(key, names)
            )
    for name in names:
        if name not in data:
            raise BadInput(f"'{where}.{name}' is missing", _names(hints[name]))
    return kind(**{name: value(data[name], hints[name], f"{where}.{name}") for name in names})


def require_keywords(
    factory: Callable[..., Any], data: Mapping[str, Any], where: str, besides: Sequence[str]
) -> None:
    """Check that a section's keys are the keywords of what it configures.

    Args:
        factory: What takes them.
        data: The section.
        where: The section's name, for messages.
        besides: Keywords that come from elsewhere.

    Raises:
        BadInput: A key is unknown or missing.
    """
    names = [name for name in inspect.signature(factory).parameters if name not in besides]
    for key in data:
        if key not in names:
            raise BadInput(
                f"unknown key '{where}.{key}'", f"one of {', '.join(names)}", closest(key, names)
            )
    for name in names:
        if name not in data:
            raise BadInput(f"'{where}.{name}' is missing", "a value", f"Give {where}.{name}=VALUE.")


def value(given: Any, kind: Any, key: str) -> Any:
    """One value, checked against a type; whole numbers pass as floats, nothing else is bent.

    Raises:
        BadInput: It has another type.
    """
    if kind is Any:
        return given
    for option in _options(kind):
        matched, result = _match(given, option)
        if matched:
            return result
    raise BadInput(f"{key}={given!r}", _names(kind), "Check the value's type.")


def _options(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)


def _names(kind: Any) -> str:
    options = _options(kind)
    return " or ".join("null" if o is types.NoneType else _name(o) for o in options)


def _name(kind: Any) -> str:
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return plain.get(kind, "a list" if typing.get_origin(kind) is tuple else "a mapping")


def _match(given: Any, kind: Any) -> tuple[bool, Any]:
    origin = typing.get_origin(kind)
    if origin is tuple:
        element = typing.get_args(kind)[0]
        if isinstance(given, list) and all(_match(v, element)[0] for v in given):
            return True, tuple(_match(v, element)[1] for v in given)
        return False, None
    if origin is not None:
        return isinstance(given, Mapping), given
    if kind is float:
        return isinstance(given, int | float) and not isinstance(given, bool), _float(given)
    if kind is int:
        # YAML reads 1e6 as a float; it is still a whole number.
        whole = isinstance(given, int) or (isinstance(given, float) and given.is_integer())
        return whole and not isinstance(given, bool), int(given) if whole else given
    return isinstance(given, kind), given


def _float(given: Any) -> Any:
    return float(given) if isinstance(given, int | float) else given


def folder(given: Any, key: str) -> Path:
    """A folder's path.

    Raises:
        BadInput: It is not text, or is empty.
    """
    text: str = value(given, str, key)
    if not text:
        raise BadInput(f"{key}= is empty", "a folder")
    return Path(text)


def positive(given: float, key: str) -> None:
    """Refuse zero and less.

    Raises:
        BadInput: It is not above zero.
    """
    if given <= 0:
        raise BadInput(f"{key}={given}", "a number above 0", "Choose a larger value.")


def positive_int(given: Any, key: str) -> int:
    """A whole number above zero.

    Raises:
        BadInput: It is something else.
    """
    number: int = value(given, int, key)
    positive(number, key)
    return number

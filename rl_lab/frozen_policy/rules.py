"""The rules that a folder must keep to be loaded; docs/frozen-policy.md explains each."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from pathlib import Path

from rl_lab.errors import BadInput


class Rule(enum.IntEnum):
    """Every rule in the order in which loading checks it."""

    FILES = 1
    SIZES = 2
    JSON = 3
    VERSION = 4
    FIELDS = 5
    CARD_HASH = 6
    ENVIRONMENT = 7
    SPACES = 8
    GOLDEN_TYPES = 9
    GRAPH_HASH = 10
    GRAPH_FORMAT = 11
    EXTERNAL_DATA = 12
    CODE = 13
    OPSET = 14
    OPERATORS = 15
    TENSORS = 16
    INTERFACE = 17
    CHECKER = 18
    MEMORY_AND_WORK = 19
    RUNTIME = 20
    GOLDEN_ACTIONS = 21


def refused(
    rule: Rule,
    came: str,
    expected: str = "",
    do: str = "Freeze the run again, or get the folder anew from where it came.",
) -> BadInput:
    """The one error for a folder that breaks a rule; it names the rule."""
    name = rule.name.lower().replace("_", " ")
    return BadInput(f"rule {rule.value} of frozen policies ({name}): {came}", expected, do)


def short(value: object) -> str:
    """What a file says, safe to print: escaped, and cut after 80 characters."""
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'dict'} of {len(value)}"
    text = repr(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 82 else f"{text[:80]}..."


def reason(error: BaseException) -> str:
    """What a library says of a file: on one line, without what a terminal would obey."""
    line = " ".join(str(error).split()) or type(error).__name__
    return "".join(c if c.isprintable() else "?" for c in line)[:200]


@contextlib.contextmanager
def about(path: Path) -> Iterator[None]:
    """Says in a refusal from within which file it is about."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{path}: {error.came}", error.expected, error.do) from error

"""Text that a training wrote down, read as data: no YAML tag and no expression is ever executed."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import Any

import yaml

from rl_lab.errors import BadInput
from rl_lab_agents.foreign.archive import read_file

_LARGEST_TEXT = 2**20
_LONGEST_EXPRESSION = 10_000
_ORDERED = "tag:yaml.org,2002:python/object/apply:collections.OrderedDict"
_TUPLE = "tag:yaml.org,2002:python/tuple"


@dataclasses.dataclass(frozen=True)
class Tagged:
    """What a YAML tag stood in front of, left as it was written.

    Attributes:
        tag: The tag.
        value: The plain data behind it.
    """

    tag: str
    value: Any


class _InertLoader(yaml.SafeLoader):
    """Plain YAML; whatever carries a tag of its own becomes `Tagged`."""


def _construct(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.ScalarNode)
        value = loader.construct_scalar(node)
    if suffix == _TUPLE and isinstance(value, list):
        return tuple(value)
    if suffix == _ORDERED and (pairs := _pairs(value)) is not None:
        return pairs
    return Tagged(suffix, value)


def _pairs(value: Any) -> dict[str, Any] | None:
    """`[[[key, value], ...]]`, which is how an OrderedDict is written; None for anything else."""
    pairs = value[0] if isinstance(value, list) and len(value) == 1 else None
    if not isinstance(pairs, list):
        return None
    if not all(isinstance(p, list) and len(p) == 2 and isinstance(p[0], str) for p in pairs):
        return None
    return {key: item for key, item in pairs}


# The empty prefix is that of every tag which plain YAML does not know.
_InertLoader.add_multi_constructor("", _construct)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping; tags in it are inert.

    Raises:
        BadInput: It is too large, not YAML, or not a mapping.
    """
    text = read_file(path, _LARGEST_TEXT)
    try:
        # A loader of our own, a subclass of the safe one: it can build only what stands above.
        loader = _InertLoader(text)
        try:
            data = loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        text_of = " ".join(str(error).split())[:200]
        raise BadInput(
            f"{path} cannot be read: {text_of}", "YAML as the RL Zoo writes it"
        ) from error
    if not isinstance(data, dict):
        raise BadInput(f"{path} holds no mapping", "YAML as the RL Zoo writes it")
    return {str(key): value for key, value in data.items()}


def expression(text: str) -> Any:
    """What `dict(net_arch=[64], activation_fn=nn.ReLU)` and the like mean, without running it.

    Knows constants, lists, tuples, dicts, `dict(...)`, signs, and dotted names, which stay text.

    Raises:
        BadInput: There is anything else in it.
    """
    try:
        if len(text) > _LONGEST_EXPRESSION:
            raise ValueError("it is too long")
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise BadInput(
            f"{text[:80]!r} cannot be read as data: {error}",
            "numbers, texts, lists, dict(...) and names such as nn.ReLU",
        ) from error


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        items = [_value(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Dict):
        return {_key(k): _value(v) for k, v in zip(node.keys, node.values, strict=True)}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand)
        if isinstance(value, int | float):
            return -value
    if isinstance(node, ast.Name | ast.Attribute):
        return ast.unparse(node)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict" and not node.args:
        return {_name(word.arg): _value(word.value) for word in node.keywords}
    raise ValueError(f"{ast.unparse(node)[:60]!r} is code")


def _key(node: ast.expr | None) -> Any:
    if not isinstance(node, ast.Constant):
        raise ValueError("a key is no constant")
    return node.value


def _name(word: str | None) -> str:
    if word is None:
        raise ValueError("** is code")
    return word


def short(value: Any, limit: int = 80) -> str:
    """A value from a file for a message; of anything but plain values only its kind.

    Shared references can make a few hundred bytes of file into gigabytes of text.
    """
    if value is None or isinstance(value, str | bytes | bool | int | float):
        return str(value)[:limit]
    if isinstance(value, list | tuple) and all(isinstance(v, int | float | str) for v in value):
        return str(value[:8])[:limit]
    return f"a {type(value).__name__.strip('_').lower()}"

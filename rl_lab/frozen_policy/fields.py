"""What a card may say: the type and range of every field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from rl_lab.errors import BadInput
from rl_lab.frozen_policy.rules import Rule, refused, short
from rl_lab.frozen_policy.space_rules import is_integer, is_number, require_keys, require_text

_STATES = 64
_REMARKS = 1_000
_LONGEST_REMARK = 2_000
_MOST = 2**63 - 1
# A registered id. "module:Id" would import the module; it is refused wherever it comes from.
_ID = re.compile(r"([\w-]+/)?[\w.-]+")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check(card: dict[str, Any]) -> None:
    """Check the values of a card that has all fields and no other.

    Raises:
        BadInput: A value is not one that rl-lab writes; names the field and the rule.
    """
    for name, (fits, expected) in _PLAIN.items():
        if not fits(card[name]):
            raise refused(Rule.FIELDS, f"{name}: {short(card[name])}", expected)
    for name in ("agent", "algorithm", "recipe_hash"):
        require_text(card[name], f"{name}:", Rule.FIELDS, empty=name == "recipe_hash")
    if card["anchors"] is not None:
        _check_anchors(card["anchors"])
    _check_provenance(card["provenance"])


_PLAIN: dict[str, tuple[Callable[[Any], bool], str]] = {
    "training_seed": (lambda v: is_integer(v, -1, _MOST), "an integer from -1"),
    "steps": (lambda v: is_integer(v, 0, _MOST), "an integer from 0"),
    "parameters": (lambda v: is_integer(v, 0, _MOST), "an integer from 0"),
    "action_masks": (lambda v: isinstance(v, bool), "true or false"),
    "provenance": (lambda v: isinstance(v, dict), "an object"),
    "golden": (lambda v: isinstance(v, dict), "an object"),
    "state": (lambda v: isinstance(v, list) and len(v) <= _STATES, f"a list, at most {_STATES}"),
    "onnx_sha256": (
        lambda v: isinstance(v, str) and _SHA256.fullmatch(v) is not None,
        "64 hexadecimal digits",
    ),
}


def _check_anchors(anchors: Any) -> None:
    names = ("random", "solved", "ceiling", "control_period_s")
    require_keys(anchors, names, "anchors", Rule.FIELDS)
    for name, value in anchors.items():
        missing = value is None and name != "random"
        if not (missing or is_number(value)):
            raise refused(Rule.FIELDS, f"anchors: {name} {short(value)}", "a number")


def _check_provenance(data: Any) -> None:
    """Remarks for people: what they are about is free, how much and of what kind is not."""
    waiting, count = [data], 0
    while waiting:
        value = waiting.pop()
        count += 1
        if count > _REMARKS:
            raise refused(
                Rule.FIELDS, "provenance: it goes on and on", f"at most {_REMARKS} values"
            )
        if isinstance(value, dict):
            for key in value:
                require_text(key, "provenance: key", Rule.FIELDS)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            require_text(value, "provenance:", Rule.FIELDS, _LONGEST_REMARK, empty=True)


def readable(remarks: Any) -> Any:
    """Remarks as a card may hold them: texts cut, and `?` where a character cannot be printed."""
    if isinstance(remarks, Mapping):
        return {readable(str(key)[:200]): readable(value) for key, value in remarks.items()}
    if isinstance(remarks, list | tuple):
        return [readable(value) for value in remarks]
    if isinstance(remarks, str):
        plain = "".join(c if c.isprintable() else "?" for c in " ".join(remarks.split()))
        return plain if len(plain) <= _LONGEST_REMARK else f"{plain[: _LONGEST_REMARK - 3]}..."
    return remarks


def check_environment(data: Any) -> None:
    """Check that an environment's recipe is plain data that names no code.

    Raises:
        BadInput: It would import a module, or is not a recipe.
    """
    fields = ("id", "kwargs", "wrappers", "max_episode_steps")
    require_keys(data, fields, "environment", Rule.ENVIRONMENT)
    _require_match(_ID, data["id"], "id", "a registered id, without a module")
    _check_arguments(data["kwargs"], "kwargs")
    limit = data["max_episode_steps"]
    if limit is not None and not is_integer(limit, 1, _MOST):
        raise _foreign(f"max_episode_steps {short(limit)}", "a positive integer or null")
    if not isinstance(data["wrappers"], list) or len(data["wrappers"]) > _STATES:
        raise _foreign(f"wrappers {short(data['wrappers'])}", f"a list, at most {_STATES}")
    for wrapper in data["wrappers"]:
        if not isinstance(wrapper, dict) or not {"name"} <= {*wrapper} <= {"name", "kwargs"}:
            raise _foreign(f"wrapper {short(wrapper)}", "an object of name and kwargs")
        _require_match(_DOTTED, wrapper["name"], "wrapper", "a plain dotted name of a class")
        _check_arguments(wrapper.get("kwargs", {}), "wrapper kwargs")


def _require_match(pattern: re.Pattern[str], value: Any, where: str, expected: str) -> None:
    if not isinstance(value, str) or len(value) > 200 or not pattern.fullmatch(value):
        raise _foreign(f"{where} {short(value)}", expected)


def _check_arguments(arguments: Any, where: str) -> None:
    if not isinstance(arguments, dict):
        raise _foreign(f"{where} {short(arguments)}", "an object")
    for name in arguments:
        if not name.isidentifier() or name.startswith("__"):
            raise _foreign(f"{where}: {short(name)}", "names of arguments")


def _foreign(came: str, expected: str) -> BadInput:
    return refused(Rule.ENVIRONMENT, f"environment: {came}", expected)

"""What a configuration's `_target_` names, and what calling it gives."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from rl_lab.errors import BadInput, closest


def target_of(section: Mapping[str, Any], where: str) -> Any:
    """What a section's `_target_` names.

    Raises:
        BadInput: It cannot be imported.
    """
    target = str(section.get("_target_", ""))
    module, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(
            f"{where}._target_={target!r} cannot be imported: {error}", "package.module.function"
        ) from error


def call(section: Mapping[str, Any], where: str, arguments: Mapping[str, Any]) -> Any:
    """What a section's `_target_` gives for keyword arguments.

    Raises:
        BadInput: It cannot be imported, or does not take these arguments.
    """
    made = target_of(section, where)
    try:
        inspect.signature(made).bind(**arguments)
    except TypeError as error:
        known = list(inspect.signature(made).parameters)
        wrong = next((key for key in arguments if key not in known), "")
        raise BadInput(
            f"{where}: {section['_target_']} does not take these keys: {error}",
            f"{', '.join(known)}",
            closest(wrong, known) if wrong else "",
        ) from error
    try:
        return made(**arguments)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{where}: {section['_target_']} refuses its values: {error}", "values that it takes"
        ) from error

"""Dotted paths of a configuration, looked up."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from rl_lab.errors import BadInput, closest


def resolve(path: str) -> Any:
    """What a dotted path names.

    Raises:
        BadInput: There is nothing by that name.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(f"{path!r} cannot be imported: {error}", "package.module.Name") from error


def call(made: Any, arguments: Mapping[str, Any], where: str) -> Any:
    """What something gives for keyword arguments.

    Raises:
        BadInput: It does not take them.
    """
    try:
        inspect.signature(made).bind(**arguments)
        return made(**arguments)
    except (TypeError, ValueError) as error:
        known = list(inspect.signature(made).parameters)
        wrong = next((key for key in arguments if key not in known), "")
        raise BadInput(
            f"{where}: {error}", ", ".join(known), closest(wrong, known) if wrong else ""
        ) from error

"""The callbacks that a training's configuration chooses, built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rl_lab.cli import targets
from rl_lab.errors import BadInput
from rl_lab.training.callbacks import Callback


def build(section: Mapping[str, Any]) -> dict[str, Callback]:
    """The section's callbacks by name.

    Raises:
        BadInput: A target cannot be imported, or refuses its arguments.
    """
    return {name: _one(f"callback.{name}", data) for name, data in section.items()}


def _one(where: str, data: Any) -> Callback:
    if not isinstance(data, Mapping) or "_target_" not in data:
        raise BadInput(
            f"{where}={data!r}",
            "{_target_: package.module.Callback, ...}",
            "`rl-lab list callback` shows those at hand.",
        )
    arguments = {str(k): v for k, v in data.items() if k != "_target_"}
    made: Callback = targets.call(data, where, arguments)
    if not callable(made):
        raise BadInput(
            f"{where}._target_={data['_target_']} gives {type(made).__name__}",
            "something that can be called with a rl_lab.training.callbacks.Moment",
        )
    return made

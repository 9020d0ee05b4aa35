"""Schedules for hyperparameters that stable-baselines3 takes as plain numbers only."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from rl_lab.errors import BadInput
from rl_lab_agents.schedules import Schedule

# Read once, when the algorithm is built; a later value would change nothing.
_READ_ONCE = ("exploration_", "rms_prop_eps")
_HOLDERS = ("rollout_buffer", "replay_buffer")


def takes_schedules(kind: type, key: str) -> bool:
    """Whether the algorithm itself takes a schedule for a hyperparameter."""
    annotation = str(_annotation(kind, key))
    return "Callable" in annotation or "Schedule" in annotation


def require_live(kind: type, key: str) -> None:
    """Refuse a schedule for what cannot change while the algorithm learns.

    Raises:
        BadInput: The hyperparameter is no plain number, or is read once only.
    """
    if key.startswith(_READ_ONCE) or "float" not in str(_annotation(kind, key)):
        raise BadInput(
            f"a schedule for agent.{key}",
            f"a plain value; {kind.__name__} fixes it when it is built",
            "Numbers that are no counts can have schedules: learning_rate, ent_coef, tau, ...",
        )


def _annotation(kind: type, key: str) -> Any:
    # A user's subclass may hand its keywords on to the constructor it inherits.
    for base in kind.__mro__:
        own = vars(base).get("__init__")
        parameter = inspect.signature(own).parameters.get(key) if own else None
        if parameter is not None:
            return parameter.annotation
    return None


class LiveSchedules(BaseCallback):
    """Sets scheduled hyperparameters where the weights are whole, before new steps are taken.

    Args:
        schedules: By hyperparameter.
    """

    def __init__(self, schedules: Mapping[str, Schedule]) -> None:
        super().__init__()
        self._schedules = dict(schedules)

    def _on_rollout_start(self) -> None:
        for key, schedule in self._schedules.items():
            value = schedule(self.model._current_progress_remaining)
            set_value(self.model, key, value)
            self.logger.record(f"train/{key}", value)

    def _on_step(self) -> bool:
        return True


def set_value(model: BaseAlgorithm, key: str, value: float) -> None:
    """Give a hyperparameter another value, wherever the algorithm keeps it."""
    setattr(model, key, value)
    for name in _HOLDERS:
        holder = getattr(model, name, None)
        if hasattr(holder, key):
            setattr(holder, key, value)
    tensor = getattr(model, f"{key}_tensor", None)
    if tensor is not None:
        tensor.fill_(value)

"""An environment as plain data: what makes it, and the scale of its returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class EnvironmentRecipe:
    """Everything that makes an environment, as plain data.

    Attributes:
        id: A registered Gymnasium id.
        kwargs: Keyword arguments of the environment's constructor.
        wrappers: `{name: dotted.path.Wrapper, kwargs: {...}}`, innermost first.
        max_episode_steps: A step limit in place of the registered one; None keeps that.
    """

    id: str
    kwargs: Mapping[str, Any]
    wrappers: tuple[Mapping[str, Any], ...]
    max_episode_steps: int | None

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> EnvironmentRecipe:
        """Read back what `to_data` gave."""
        return cls(
            str(data["id"]),
            dict(data["kwargs"]),
            tuple(dict(w) for w in data["wrappers"]),
            data["max_episode_steps"],
        )

    def to_data(self) -> dict[str, Any]:
        """The recipe as JSON-ready data."""
        return {**dataclasses.asdict(self), "wrappers": [dict(w) for w in self.wrappers]}


@dataclasses.dataclass(frozen=True)
class Anchors:
    """Returns that give an environment's scale, and its clock.

    Attributes:
        random: Mean return of uniformly random actions.
        solved: Return at which the task counts as solved; None where none is declared.
        ceiling: Highest attainable return; None where none is known.
        control_period_s: Seconds of simulated time per decision; None where time has no unit.
    """

    random: float
    solved: float | None
    ceiling: float | None
    control_period_s: float | None

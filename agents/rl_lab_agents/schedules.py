"""Values that change over a training, as plain data: `{schedule: linear, start: 1e-3, end: 0}`."""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rl_lab.errors import BadInput, closest
from rl_lab_agents import naming

# Takes what is left of the training, from 1 to 0, as stable-baselines3 counts it.
Schedule = Callable[[float], float]


@dataclasses.dataclass(frozen=True)
class Constant:
    """One value all along.

    Args:
        value: It.
    """

    value: float

    def __call__(self, progress_remaining: float) -> float:
        """The value."""
        return self.value


@dataclasses.dataclass(frozen=True)
class Linear:
    """A straight line.

    Args:
        start: The value at the first step.
        end: The value where `fraction` of the training is over, and from then on.
        fraction: Of the training.
    """

    start: float
    end: float
    fraction: float = 1.0

    def __post_init__(self) -> None:
        _check_fraction(self.fraction)

    def __call__(self, progress_remaining: float) -> float:
        """The value where `progress_remaining` runs from 1 to 0."""
        if self.fraction == 1.0:
            return self.end + progress_remaining * (self.start - self.end)
        return self.start + _done(progress_remaining, self.fraction) * (self.end - self.start)


@dataclasses.dataclass(frozen=True)
class Exponential:
    """The same factor over equal spans.

    Args:
        start: The value at the first step, above 0.
        end: The value where `fraction` of the training is over, above 0.
        fraction: Of the training.
    """

    start: float
    end: float
    fraction: float = 1.0

    def __post_init__(self) -> None:
        _check_fraction(self.fraction)
        if self.start <= 0 or self.end <= 0:
            raise ValueError("start and end of an exponential schedule are above 0")

    def __call__(self, progress_remaining: float) -> float:
        """The value where `progress_remaining` runs from 1 to 0."""
        done = _done(progress_remaining, self.fraction)
        return float(self.start * (self.end / self.start) ** done)


@dataclasses.dataclass(frozen=True)
class Cosine:
    """Half a wave: slow at both ends. https://arxiv.org/abs/1608.03983 without restarts.

    Args:
        start: The value at the first step.
        end: The value where `fraction` of the training is over.
        fraction: Of the training.
    """

    start: float
    end: float
    fraction: float = 1.0

    def __post_init__(self) -> None:
        _check_fraction(self.fraction)

    def __call__(self, progress_remaining: float) -> float:
        """The value where `progress_remaining` runs from 1 to 0."""
        wave = (1 + math.cos(math.pi * _done(progress_remaining, self.fraction))) / 2
        return self.end + wave * (self.start - self.end)


@dataclasses.dataclass(frozen=True)
class Steps:
    """A value from each given point on.

    Args:
        points: `[[0, 1e-3], [0.5, 1e-4]]`: shares of the training, rising from 0, and values.
    """

    points: Sequence[Sequence[float]]

    def __post_init__(self) -> None:
        shares = [share for share, _ in self.points]
        if not shares or shares[0] != 0 or sorted(set(shares)) != shares or shares[-1] > 1:
            raise ValueError("points are [share, value], the shares rising from 0 to at most 1")

    def __call__(self, progress_remaining: float) -> float:
        """The value of the last point that has been passed."""
        shares = [share for share, _ in self.points]
        return self.points[bisect.bisect_right(shares, 1 - progress_remaining) - 1][1]


KINDS = {
    "constant": Constant,
    "linear": Linear,
    "exponential": Exponential,
    "cosine": Cosine,
    "steps": Steps,
}


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction={fraction} is not in (0, 1]")


def _done(progress_remaining: float, fraction: float) -> float:
    return min((1 - progress_remaining) / fraction, 1.0)


def is_schedule(value: Any) -> bool:
    """Whether a configuration's value is a schedule."""
    return isinstance(value, Mapping) and "schedule" in value


def build(key: str, data: Mapping[str, Any]) -> Schedule:
    """A schedule from plain data; a dotted path names one of the user's own.

    Raises:
        BadInput: It is not known, or does not take the arguments.
    """
    name = str(data["schedule"])
    made = naming.resolve(name) if "." in name else KINDS.get(name)
    if made is None:
        raise BadInput(
            f"agent.{key}={dict(data)}",
            f"a number, or {{schedule: {' or '.join(KINDS)}, ...}}",
            closest(name, KINDS),
        )
    arguments = {str(k): _number(key, k, v) for k, v in data.items() if k != "schedule"}
    schedule: Schedule = naming.call(made, arguments, f"agent.{key}, schedule {name}")
    return schedule


def _number(key: str, name: Any, value: Any) -> Any:
    if isinstance(value, str):
        raise BadInput(f"agent.{key}.{name}={value!r}", "a number", "Text is never evaluated.")
    return value

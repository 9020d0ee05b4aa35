"""The state of an agent, in named parts that can be restored one by one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from rl_lab.errors import Failed

# The parts of an agent's state.
WEIGHTS = "weights"  # networks, optimisers, learned scalars
PROGRESS = "progress"  # counters
NORMALIZER = "normalizer"  # running statistics of observations and returns
REPLAY = "replay"  # the replay buffer
RANDOM = "random"  # all random streams of the process
ENVIRONMENTS = "environments"  # where every environment stands, and what the agent saw last
ALL = (WEIGHTS, PROGRESS, NORMALIZER, REPLAY, RANDOM, ENVIRONMENTS)
# What an agent takes along when it goes on learning in other environments.
CARRIED = (WEIGHTS, PROGRESS, NORMALIZER, REPLAY)


class StateMismatch(Failed):
    """A stored state does not fit what it is to be restored into."""


class Rows(Protocol):
    """Arrays `[capacity, ...]` filled row by row, over and over again."""

    @property
    def written(self) -> int:
        """Rows ever written; the next one goes to slot `written % capacity`."""

    def copy_into(self, targets: Mapping[str, np.ndarray]) -> None:
        """Fill arrays of the same names, shapes and types.

        Raises:
            StateMismatch: A name, a shape or a type differs.
        """


@dataclasses.dataclass(frozen=True)
class Ring:
    """A ring as it lies in memory; the arrays are views, not copies.

    Attributes:
        arrays: Name -> `[capacity, ...]`, all of one capacity.
        written: Rows ever written.
    """

    arrays: Mapping[str, np.ndarray]
    written: int

    @property
    def capacity(self) -> int:
        """Rows that fit."""
        return len(next(iter(self.arrays.values())))

    def copy_into(self, targets: Mapping[str, np.ndarray]) -> None:
        """Fill arrays of the same names, shapes and types, see `Rows`."""
        require_same(self.arrays, targets)
        for name, array in self.arrays.items():
            targets[name][:] = array


def require_same(source: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray]) -> None:
    """Refuse rings of other names, shapes or types.

    Raises:
        StateMismatch: They differ.
    """
    here, there = _kinds(targets), _kinds(source)
    if here != there:
        differing = sorted(k for k in {*here, *there} if here.get(k) != there.get(k))
        raise StateMismatch(
            f"the stored replay buffer differs in {', '.join(differing)}",
            "a buffer of the same size and spaces",
        )


def _kinds(arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[Any, ...]]:
    return {name: (array.shape, array.dtype.str) for name, array in arrays.items()}


@dataclasses.dataclass(frozen=True)
class State:
    """Everything that is needed to go on.

    Attributes:
        data: Part -> JSON-ready data, see `rl_lab.states.encode`.
        arrays: What `data` refers to by name.
        rings: Large arrays of which only the changed rows are written again.
        lost: What may be state and is not here, as no file can hold it; see `encode`.
    """

    data: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    rings: Mapping[str, Rows]
    lost: tuple[str, ...] = ()

    def without(self, part: str) -> State:
        """The same state with nothing in one of its parts."""
        return State(
            {**self.data, part: {}},
            {k: v for k, v in self.arrays.items() if k.partition(".")[0] != part},
            {k: v for k, v in self.rings.items() if k != part},
            self.lost,
        )

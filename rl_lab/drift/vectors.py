"""Observations and actions as vectors of numbers, so that drift can be measured on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from rl_lab.spaces import SpaceData
from rl_lab.statistics.resampling import FloatArray

_MOST_NUMBERS = 512


@dataclasses.dataclass(frozen=True)
class Vectors:
    """How members of a space become vectors.

    Attributes:
        size: Numbers per vector.
        of: One member of the space as float64 [size].
        categories: The space is one discrete variable, and vectors are indicators of its value.
    """

    size: int
    of: Callable[[Any], FloatArray]
    categories: bool


def of_observations(space: SpaceData) -> Vectors | str:
    """How observations become vectors, or why they do not."""
    if space["kind"] == "dict":
        return _of_dict(space)
    if space["kind"] == "discrete":
        n = int(space["n"])
        return _bounded(n, Vectors(n, lambda o: _indicator(int(o), n), True))
    if space["kind"] == "multi_discrete":
        return _bounded(len(space["nvec"]), _flat(len(space["nvec"])))
    if space["kind"] == "multi_binary":
        return _bounded(space["n"], _flat(space["n"]))
    if len(space["shape"]) >= 2 and space["dtype"] == "uint8":
        return "observations are images: statistics of raw pixels say nothing about the world"
    size = int(np.prod(space["shape"]))
    return _bounded(size, _flat(size))


def of_actions(space: SpaceData) -> Vectors:
    """How actions become vectors; a discrete action is an indicator of every value but the first.

    The constant of a linear model stands for the first.
    """
    if space["kind"] == "discrete":
        n = int(space["n"])
        return Vectors(n - 1, lambda a: _indicator(int(a) - 1, n - 1), False)
    if space["kind"] == "multi_discrete":
        sizes = [int(n) - 1 for n in space["nvec"]]
        return Vectors(
            sum(sizes),
            lambda action: np.concatenate(
                [_indicator(int(a) - 1, n) for a, n in zip(action, sizes, strict=True)]
            ),
            False,
        )
    if space["kind"] == "multi_binary":
        return _flat(int(space["n"]))
    return _flat(int(np.prod(space["shape"])))


def _bounded(size: int, vectors: Vectors) -> Vectors | str:
    if size > _MOST_NUMBERS:
        return f"observations have {size} numbers, more than {_MOST_NUMBERS}"
    return vectors


def _flat(size: int) -> Vectors:
    def of(member: Any) -> FloatArray:
        # A copy: some environments go on to write into what they returned.
        array = np.array(member, dtype=np.float64)
        return array if array.ndim == 1 else array.ravel()

    return Vectors(size, of, False)


def _indicator(index: int, size: int) -> FloatArray:
    vector = np.zeros(size)
    if 0 <= index < size:
        vector[index] = 1.0
    return vector


def _of_dict(space: SpaceData) -> Vectors | str:
    parts: list[tuple[str, Vectors]] = []
    for key, part in space["spaces"].items():
        vectors = of_observations(part)
        if isinstance(vectors, str):
            return f"{key}: {vectors}"
        parts.append((key, vectors))
    size = sum(vectors.size for _, vectors in parts)
    return _bounded(
        size,
        Vectors(size, lambda o: np.concatenate([v.of(o[key]) for key, v in parts]), False),
    )

"""Observation and action spaces as plain data, so that files can carry them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from rl_lab.errors import BadInput

SpaceData = dict[str, Any]
# What NumPy, torch and onnxruntime can all hold.
_BOX_TYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")


def to_data(space: spaces.Space[Any]) -> SpaceData:
    """A space as JSON-ready data.

    Raises:
        BadInput: The space is of a kind that no agent here can learn in.
    """
    if isinstance(space, spaces.Box) and space.shape and space.dtype.name in _BOX_TYPES:
        return {
            "kind": "box",
            "shape": list(space.shape),
            "dtype": space.dtype.name,
            "low": _bounds(space.low),
            "high": _bounds(space.high),
        }
    if isinstance(space, spaces.Discrete) and space.start == 0:
        return {"kind": "discrete", "n": int(space.n)}
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1 and not space.start.any():
        return {"kind": "multi_discrete", "nvec": [int(n) for n in space.nvec]}
    if isinstance(space, spaces.MultiBinary) and isinstance(space.n, int | np.integer):
        return {"kind": "multi_binary", "n": int(space.n)}
    if isinstance(space, spaces.Dict) and not _has_nested(space):
        return {"kind": "dict", "spaces": {k: to_data(s) for k, s in space.spaces.items()}}
    raise BadInput(
        f"a space of the kind {space}",
        "Box of one dimension or more (no uint16 to uint64), Discrete and MultiDiscrete starting "
        "at 0, flat MultiBinary, or a Dict of these",
        "Wrap the environment: gymnasium.wrappers has FlattenObservation and more.",
    )


def _has_nested(space: spaces.Dict) -> bool:
    return any(isinstance(s, spaces.Dict | spaces.Tuple) for s in space.spaces.values())


def _bounds(values: np.ndarray) -> Any:
    """Bounds as one number where all are equal, else as nested lists; infinities as text."""
    flat = [_number(v) for v in values.ravel().tolist()]
    if len(set(map(str, flat))) == 1:
        return flat[0]
    return flat


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def from_data(data: SpaceData) -> spaces.Space[Any]:
    """The Gymnasium space that `to_data` described.

    Raises:
        BadInput: The data describe no space.
    """
    try:
        return _KINDS[data["kind"]](data)
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        text = f"{str(data)[:80]!r} describes no space: {error}"
        raise BadInput(text, "a space as written by rl-lab") from error


def _box(data: SpaceData) -> spaces.Space[Any]:
    dtype, shape = np.dtype(data["dtype"]), tuple(data["shape"])
    low, high = (_filled(data[side], shape, dtype) for side in ("low", "high"))
    return spaces.Box(low, high, shape, dtype.type)


def _filled(bound: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    if isinstance(bound, list):
        numbers = [float(b) if isinstance(b, str) else b for b in bound]
        return np.array(numbers, dtype).reshape(shape)
    return np.full(shape, float(bound) if isinstance(bound, str) else bound, dtype)


_KINDS: dict[str, Callable[[SpaceData], spaces.Space[Any]]] = {
    "box": _box,
    "discrete": lambda d: spaces.Discrete(int(d["n"])),
    "multi_discrete": lambda d: spaces.MultiDiscrete([int(n) for n in d["nvec"]]),
    "multi_binary": lambda d: spaces.MultiBinary(int(d["n"])),
    "dict": lambda d: spaces.Dict({k: from_data(s) for k, s in d["spaces"].items()}),
}


def difference(expected: SpaceData, found: SpaceData, where: str = "space") -> str:
    """The first field in which two spaces differ, as a clause; "" where they are equal."""
    if expected.get("kind") == found.get("kind") == "dict":
        for key in sorted({*expected["spaces"], *found["spaces"]}):
            one, two = (s["spaces"].get(key, {}) for s in (expected, found))
            if text := difference(one, two, f"{where}[{key!r}]"):
                return text
        return ""
    for field in ("kind", "shape", "dtype", "n", "nvec", "low", "high"):
        if expected.get(field) != found.get(field):
            return f"{where}: {field} {found.get(field)} instead of {expected.get(field)}"
    return ""


def draw(space: spaces.Space[Any], count: int, generator: np.random.Generator) -> Any:
    """`count` members of a space as one batch, spread over what is plausible in it.

    Unbounded sides of a Box are drawn from a normal distribution of scale 1; bounded sides
    uniformly. A Dict gives a dict of batches.
    """
    if isinstance(space, spaces.Dict):
        return {key: draw(s, count, generator) for key, s in space.spaces.items()}
    if isinstance(space, spaces.Discrete):
        return generator.integers(0, int(space.n), count)
    if isinstance(space, spaces.MultiDiscrete):
        return generator.integers(0, space.nvec, (count, *space.nvec.shape), dtype=space.dtype)
    if isinstance(space, spaces.MultiBinary):
        return generator.integers(0, 2, (count, *space.shape), dtype=space.dtype)
    assert isinstance(space, spaces.Box)
    return _draw_box(space, count, generator)


def _draw_box(space: spaces.Box, count: int, generator: np.random.Generator) -> np.ndarray:
    shape = (count, *space.shape)
    if np.issubdtype(space.dtype, np.integer):
        high = space.high.astype(np.int64) + 1
        return generator.integers(space.low.astype(np.int64), high, shape).astype(space.dtype)
    # Bounds like +-3.4e38 are an honest "unbounded" in many environments.
    wide_low, wide_high = space.low.astype(np.float64), space.high.astype(np.float64)
    low = np.where(wide_low > -1e6, wide_low, -np.inf)
    high = np.where(wide_high < 1e6, wide_high, np.inf)
    bounded = np.isfinite(low) & np.isfinite(high)
    uniform = generator.uniform(np.where(bounded, low, 0.0), np.where(bounded, high, 1.0), shape)
    normal = np.clip(generator.standard_normal(shape), low, high)
    return np.where(bounded, uniform, normal).astype(space.dtype)

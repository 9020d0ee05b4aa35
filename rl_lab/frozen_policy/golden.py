"""Golden vectors: observations with the actions that every load must give again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_lab.errors import BadInput
from rl_lab.frozen_policy import layout
from rl_lab.frozen_policy.rules import Rule, refused, short
from rl_lab.frozen_policy.space_rules import require_keys
from rl_lab.spaces import SpaceData

_VECTORS = 1024


@dataclasses.dataclass(frozen=True)
class Golden:
    """Golden vectors as batches.

    Attributes:
        observations: `[N, ...]`, or a dict of these.
        actions: `[N, ...]`.
        masks: Booleans `[N, choices]`, or None.
    """

    observations: Any
    actions: np.ndarray
    masks: np.ndarray | None

    @property
    def first(self) -> Any:
        """The first observation."""
        if isinstance(self.observations, dict):
            return {key: part[0] for key, part in self.observations.items()}
        return self.observations[0]


def read(
    golden: Mapping[str, Any], observations: SpaceData, actions: SpaceData, masked: bool
) -> Golden:
    """The golden vectors of a card.

    Args:
        golden: As the card has them.
        observations: The checked observation space.
        actions: The checked action space.
        masked: Whether decisions need masks.

    Raises:
        BadInput: They are not arrays of the card's shapes and types.
    """
    names = {"observations", "actions"} | ({"action_masks"} if masked else set())
    require_keys(golden, names, "golden", Rule.GOLDEN_TYPES)
    count = len(golden["actions"]) if isinstance(golden["actions"], list) else 0
    if not 1 <= count <= _VECTORS:
        text = f"golden: actions {short(golden['actions'])}"
        raise refused(Rule.GOLDEN_TYPES, text, f"a list of 1 to {_VECTORS}")
    masks = None
    if masked:
        width = (layout.mask_width(actions),)
        masks = _array(golden["action_masks"], count, (width, np.dtype(bool)), "action_masks")
    return Golden(
        _observations(golden["observations"], observations, count),
        _array(golden["actions"], count, layout.array_type(actions), "actions"),
        masks,
    )


def _observations(stored: Any, space: SpaceData, count: int) -> Any:
    if space["kind"] != "dict":
        return _array(stored, count, layout.array_type(space), "observations")
    require_keys(stored, space["spaces"], "golden: observations", Rule.GOLDEN_TYPES)
    return {
        key: _array(stored[key], count, layout.array_type(part), f"observations[{short(key)}]")
        for key, part in space["spaces"].items()
    }


def _array(
    values: Any, count: int, kind: tuple[tuple[int, ...], np.dtype[Any]], name: str
) -> np.ndarray:
    """The array `[count, *shape]` that nested lists stand for."""
    shape, dtype = kind
    flat = _flat([values], (count, *shape))
    array = None if flat is None else _typed(flat, dtype)
    if array is None:
        raise _misfit(name, count, shape, dtype)
    return array.reshape(count, *shape)


def _flat(values: list[Any], shape: tuple[int, ...]) -> list[Any] | None:
    """The leaves of nested lists of this shape; None where they have another."""
    # Before NumPy sees them: it would pad texts of different lengths to gigabytes.
    for size in shape:
        if any(type(value) is not list or len(value) != size for value in values):
            return None
        values = [leaf for value in values for leaf in value]
    return values


def _typed(flat: list[Any], dtype: np.dtype[Any]) -> np.ndarray | None:
    types: dict[str, set[type]] = {"b": {bool}, "f": {int, float}, "i": {int}, "u": {int}}
    if not set(map(type, flat)) <= types[dtype.kind]:
        return None
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if min(flat) < limits.min or max(flat) > limits.max:
            return None
    with np.errstate(over="ignore"):
        array = np.array(flat, dtype)
    return None if dtype.kind == "f" and not np.isfinite(array).all() else array


def _misfit(name: str, count: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> BadInput:
    return refused(
        Rule.GOLDEN_TYPES,
        f"golden: {name} do not fit the card",
        f"{dtype.name} numbers of shape {(count, *shape)}",
    )

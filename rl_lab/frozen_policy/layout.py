"""How observations, masks and actions are laid out in a graph's inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_lab.errors import BadInput
from rl_lab.spaces import SpaceData

MASK = "action_mask"


def input_names(observation_space: SpaceData) -> list[str]:
    """Graph inputs that carry the observation: one, or one per key of a Dict space."""
    if observation_space["kind"] == "dict":
        return [f"observation.{key}" for key in observation_space["spaces"]]
    return ["observation"]


def input_spaces(observation_space: SpaceData) -> list[SpaceData]:
    """The spaces of those inputs, in the same order."""
    if observation_space["kind"] == "dict":
        return list(observation_space["spaces"].values())
    return [observation_space]


def array_type(space: SpaceData) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype in which a graph takes or gives one member of a space."""
    kind = space["kind"]
    if kind == "box":
        return tuple(space["shape"]), np.dtype(space["dtype"])
    if kind == "discrete":
        return (), np.dtype(np.int64)
    if kind == "multi_discrete":
        return (len(space["nvec"]),), np.dtype(np.int64)
    return (space["n"],), np.dtype(np.int8)


def mask_width(action_space: SpaceData) -> int:
    """Entries of an action mask: one per choice; a binary action has two.

    Raises:
        BadInput: Actions of this kind cannot be masked.
    """
    kind = action_space["kind"]
    if kind == "discrete":
        return int(action_space["n"])
    if kind == "multi_discrete":
        return int(sum(action_space["nvec"]))
    if kind == "multi_binary":
        return 2 * int(action_space["n"])
    raise BadInput(f"an action mask for {kind} actions", "discrete actions of some kind")


def parts(observations: Any) -> list[Any]:
    """The parts of an observation or of a batch that is in the space's order."""
    return list(observations.values()) if isinstance(observations, Mapping) else [observations]


def ordered_parts(space: SpaceData, observations: Any) -> list[Any]:
    """The parts of an observation or of a batch as a user gives it, in the space's order.

    Raises:
        BadInput: A Dict space's observation is no dict or lacks a key, or a dict was given for
            another space.
    """
    keys = list(space["spaces"]) if space["kind"] == "dict" else None
    given = list(observations) if isinstance(observations, Mapping) else None
    if (keys is None) != (given is None) or not set(keys or ()) <= set(given or ()):
        found = f"a dict with the keys {given}" if given is not None else "no dict"
        wanted = f"a dict with the keys {keys}" if keys is not None else "one array"
        raise BadInput(f"{found} as observation", wanted, "Give what env.reset() or step() gave.")
    return [observations] if keys is None else [observations[key] for key in keys]


def array_of(value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """An array of exactly this shape.

    Raises:
        BadInput: It has another shape, or is no array of numbers, as `(observation, info)` is not.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise wrong_shape(name, f"of a {type(value).__name__}", shape) from error
    if array.dtype.kind not in "biuf":
        raise no_numbers(name, value)
    if array.shape != shape:
        raise wrong_shape(name, array.shape, shape)
    return array


def batch_of(space: SpaceData, name: str, part: Any) -> np.ndarray:
    """A batch `[N, ...]` of a space's members as the graph takes it.

    Raises:
        BadInput: It has another shape.
    """
    shape, dtype = array_type(space)
    try:
        array = np.asarray(part)
        whole = array.ndim > 0 and array.shape[1:] == shape and array.dtype != object
        if whole:
            return np.ascontiguousarray(array, dtype)
    except (TypeError, ValueError) as error:
        raise wrong_shape(name, f"of a {type(part).__name__}", ("N", *shape)) from error
    raise wrong_shape(name, array.shape, ("N", *shape))


def require_states(given: int, wanted: int) -> None:
    """Refuse another number of state arrays.

    Raises:
        BadInput: They are more or fewer.
    """
    if given != wanted:
        raise BadInput(
            f"{given} state arrays",
            f"{wanted}",
            "Give what the previous act() returned, or policy.reset() to start an episode.",
        )


def require_unneeded(state: Any, action_mask: Any) -> None:
    """Refuse a state or a mask for a policy that has neither; nothing in other words is fine.

    Raises:
        BadInput: One of them is there.
    """
    if state is not None:
        require_states(len(state), 0)
    if action_mask is not None:
        raise mask_unneeded()


def mask_unneeded() -> BadInput:
    """The one message for a mask that would not be obeyed."""
    return BadInput(
        "an action mask",
        "none: this policy was trained without masks and would not obey it",
        "Leave action_mask= out, or train with maskable_ppo.",
    )


def wrong_shape(name: str, found: object, expected: object) -> BadInput:
    """The one message for an array of another shape."""
    return BadInput(
        f"{name} of shape {found}",
        f"shape {expected}",
        "Give the environment's raw observation; the policy does its own preprocessing.",
    )


def no_numbers(name: str, value: Any) -> BadInput:
    """The one message for what cannot be read as numbers."""
    dtype = getattr(value, "dtype", None)
    return BadInput(
        f"{name} of the type {type(value).__name__ if dtype is None else dtype}",
        "numbers",
        "Give the environment's raw observation; of `(observation, info)` only the first.",
    )


def masks_missing() -> BadInput:
    """The one message for acting without a mask where one is needed."""
    return BadInput(
        "no action mask",
        "a mask of allowed actions with each decision",
        "This policy was trained with masks: give action_mask= as the environment's "
        "action_masks() returns it.",
    )

"""Noise on actions while learning, from plain data: `{kind: normal, std: 0.1}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common import noise as library

from rl_lab.errors import BadInput, closest

_KINDS: dict[str, tuple[type[library.ActionNoise], tuple[str, ...]]] = {
    "normal": (library.NormalActionNoise, ()),
    "ornstein-uhlenbeck": (library.OrnsteinUhlenbeckActionNoise, ("theta", "dt")),
}


def noise(data: Any, action_space: gymnasium.Space[Any]) -> library.ActionNoise:
    """The noise that a configuration describes.

    Args:
        data: `kind`, `std` and optionally `mean` (a number, or a list with one for each dimension
            of the action); with Ornstein-Uhlenbeck also `theta` and `dt`.
        action_space: Of the environment.

    Raises:
        BadInput: A key or a value is not known, or a list has another length.
    """
    kind = str(data.get("kind")) if isinstance(data, Mapping) else ""
    made, extra = _KINDS.get(kind, (None, ()))
    if made is None or not {"kind", "std"} <= set(data) <= {"kind", "std", "mean", *extra}:
        raise BadInput(
            f"agent.action_noise={data!r}",
            f"{{kind: {' or '.join(_KINDS)}, std: NUMBER}}, and mean; theta and dt with the second",
            closest(kind, _KINDS) if made is None else "",
        )
    mean, std = (_per_dimension(data.get(k, 0.0), k, action_space) for k in ("mean", "std"))
    arguments = {k: float(data[k]) for k in extra if k in data}
    return made(mean, std, **arguments)  # type: ignore[call-arg]


def _per_dimension(value: Any, key: str, space: gymnasium.Space[Any]) -> np.ndarray:
    assert space.shape is not None
    try:
        if isinstance(value, str):
            raise ValueError("text")
        array = np.broadcast_to(np.asarray(value, np.float64), space.shape)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"agent.action_noise.{key}={value!r}",
            f"a number, or a list with one for each of the {space.shape} actions",
        ) from error
    if key == "std" and not (array >= 0).all():
        raise BadInput(f"agent.action_noise.std={value!r}", "deviations of at least 0")
    return np.array(array)

"""The member `data` of a stable-baselines3 zip, as far as it can be read without unpickling.

Values that JSON can hold are written plainly. Beside each pickled one stand readable remarks: the
text of its type and of its attributes. They are all that is used here; the pickles stay closed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_lab.errors import BadInput

_PICKLED = ":serialized:"
_TYPE = ":type:"
_LARGEST_DATA = 128 * 2**20
_CLASS_NAME = re.compile(r"<function (\w+)\.__init__ at ")
_TYPE_NAME = re.compile(r"(\w+)'>\Z")


@dataclasses.dataclass(frozen=True)
class Saved:
    """What can be read of a training's attributes.

    Attributes:
        plain: Those that are plain JSON.
        remarks: The readable remarks beside those that are pickled.
        pickles: A hash of each pickle, to tell whether two files agree on it.
    """

    plain: Mapping[str, Any]
    remarks: Mapping[str, Mapping[str, Any]]
    pickles: Mapping[str, str]

    def has(self, key: str) -> bool:
        """Whether the attribute was saved at all."""
        return key in self.plain or key in self.remarks

    @property
    def policy_keywords(self) -> dict[str, Any]:
        """The policy's keyword arguments; what was pickled among them is text."""
        plain = self.plain.get("policy_kwargs")
        if isinstance(plain, dict):
            return dict(plain)
        return dict(self.remarks.get("policy_kwargs", {}))

    @property
    def policy_module(self) -> str:
        """The module of the policy's class; "" where the file does not say."""
        return str(self.remarks.get("policy_class", {}).get("__module__", ""))[:200]

    @property
    def policy_class(self) -> str:
        """The name of the policy's class; "" where the file does not say."""
        match = _CLASS_NAME.match(str(self.remarks.get("policy_class", {}).get("__init__", "")))
        return match[1] if match else ""


def read(data: bytes, where: str) -> Saved:
    """Read the member `data`.

    Raises:
        BadInput: It is too large, or no JSON object.
    """
    if len(data) > _LARGEST_DATA:
        raise BadInput(f"{where}: its data have {len(data)} bytes", f"at most {_LARGEST_DATA}")
    try:
        whole = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{where}: its data are no JSON: {str(error)[:200]}", "an undamaged file"
        ) from (error)
    if not isinstance(whole, dict):
        raise BadInput(f"{where}: its data are no JSON object", "an undamaged file")
    plain, remarks, pickles = {}, {}, {}
    for key, value in whole.items():
        if isinstance(value, dict) and _PICKLED in value:
            remarks[key] = {k: v for k, v in value.items() if k != _PICKLED and k != _TYPE}
            remarks[key][_TYPE] = str(value.get(_TYPE, ""))
            pickles[key] = hashlib.sha256(str(value[_PICKLED]).encode()).hexdigest()
        else:
            plain[key] = value
    if "policy_kwargs" in remarks:
        del remarks["policy_kwargs"][_TYPE]
    return Saved(plain, remarks, pickles)


def space_fault(saved: Saved, observation: spaces.Space[Any], action: spaces.Space[Any]) -> str:
    """How the spaces in the file differ from these ones, as a clause; "" where nothing shows.

    Args:
        saved: The file's attributes.
        observation: As the policy sees it: stacked, transposed.
        action: Of the environment.
    """
    for word, space in (("observations", observation), ("actions", action)):
        key = f"{word.removesuffix('s')}_space"
        if text := _difference(saved.remarks.get(key, {}), space):
            return f"{word} are {text}"
    return _bounds_difference(saved.remarks.get("action_space", {}), action)


def _difference(remarks: Mapping[str, Any], space: gymnasium.Space[Any]) -> str:
    match = _TYPE_NAME.search(str(remarks.get(_TYPE, "")))
    if match and match[1] != type(space).__name__:
        return f"{match[1]} in the file, {type(space).__name__} in the environment"
    shape = remarks.get("_shape", remarks.get("shape"))
    if isinstance(shape, list) and isinstance(space, spaces.Box) and tuple(shape) != space.shape:
        return f"of shape {tuple(shape)} in the file, {space.shape} in the environment"
    count = remarks.get("n")
    if isinstance(count, int) and isinstance(space, spaces.Discrete) and count != space.n:
        return f"{count} in the file, {space.n} in the environment"
    return ""


def _bounds_difference(remarks: Mapping[str, Any], space: gymnasium.Space[Any]) -> str:
    """A policy that squashes was scaled to the file's bounds; other ones would bend its actions."""
    if not isinstance(space, spaces.Box):
        return ""
    for side in ("low", "high"):
        bounds = getattr(space, side).ravel()
        found = _numbers(remarks.get(side))
        if len(found) == len(bounds) and not np.allclose(found, bounds, rtol=1e-4, atol=1e-6):
            return (
                f"actions have the {side} bounds {str(found)[:80]} in the file, "
                f"{bounds.tolist()!s:.80} in the environment"
            )
    return ""


def _numbers(text: Any) -> list[float]:
    """The numbers that NumPy printed; empty where it left some out."""
    if not isinstance(text, str) or "..." in text:
        return []
    try:
        return [float(word) for word in text.replace("[", " ").replace("]", " ").split()]
    except ValueError:
        return []

"""The card: what `policy.json` says."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab import files, paths, spaces
from rl_lab.frozen_policy import fields, golden, reading, space_rules
from rl_lab.frozen_policy.rules import Rule, about, refused, short

FORMAT = "rl_lab.frozen_policy"
FORMAT_VERSION = 1
_SEAL = "card_sha256"
_SPACE_FIELDS = ("observation_space", "action_space", "state", "action_masks")


@dataclasses.dataclass(frozen=True)
class Card:
    """What a frozen policy is; plain data throughout.

    Attributes:
        agent: Short name of the agent, for tables.
        algorithm: What trained it.
        training_seed: The run's seed; -1 where it is not known.
        steps: Environment steps learned from.
        recipe_hash: Names the recipe; equal for runs that differ only in their seed.
        environment: The environment's recipe.
        anchors: The environment's scale when the policy was frozen; None where it has none.
        observation_space: Of the environment, as in `rl_lab.spaces`.
        action_space: Of the environment.
        state: `{name, shape, dtype}` of each array carried along.
        action_masks: Whether decisions need a mask of allowed actions.
        parameters: Floating-point numbers in the graph.
        provenance: Versions, commit, library facts.
        onnx_sha256: Of `policy.onnx`.
        golden: Observations, and the actions they must give from a fresh state.
    """

    agent: str
    algorithm: str
    training_seed: int
    steps: int
    recipe_hash: str
    environment: Mapping[str, Any]
    anchors: Mapping[str, Any] | None
    observation_space: spaces.SpaceData
    action_space: spaces.SpaceData
    state: tuple[Mapping[str, Any], ...]
    action_masks: bool
    parameters: int
    provenance: Mapping[str, Any]
    onnx_sha256: str
    golden: Mapping[str, Any]

    def to_data(self) -> dict[str, Any]:
        """The card as JSON-ready data, format and version first."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **fields}


def sealed(data: Mapping[str, Any]) -> dict[str, Any]:
    """A card's data as they are written: with their own hash at the end."""
    # NaN is written as null, and must be hashed as what is read back.
    plain = json.loads(json.dumps(data), parse_constant=lambda _: None)
    return {**plain, _SEAL: _hash(plain)}


def _hash(plain: Any) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return files.sha256(text.encode())


def read_card(folder: Path) -> Card:
    """Read and check a policy's card.

    Raises:
        BadInput: It breaks one of the rules of docs/frozen-policy.md; the message names it.
    """
    path = folder / paths.POLICY_CARD
    with about(path):
        return from_data(reading.parse_json(reading.read_file(path, reading.CARD_BYTES)))


def from_data(data: Any) -> Card:
    """A card from what stands in the file, checked.

    Raises:
        BadInput: As `read_card`.
    """
    _require_version(data)
    expected = {f.name for f in dataclasses.fields(Card)}
    values = {k: v for k, v in data.items() if k not in ("format", "format_version", _SEAL)}
    space_rules.require_keys(values, expected, "the card", Rule.FIELDS)
    fields.check(values)
    # The first cards of this version had no hash; theirs cannot be checked.
    if _SEAL in data and data[_SEAL] != _hash({k: v for k, v in data.items() if k != _SEAL}):
        raise refused(Rule.CARD_HASH, "it was changed after it was written", "its own hash")
    fields.check_environment(values["environment"])
    _check_spaces(json.dumps({name: values[name] for name in _SPACE_FIELDS}))
    card = Card(**{**values, "state": tuple(values["state"])})
    golden.read(card.golden, card.observation_space, card.action_space, card.action_masks)
    return card


@functools.lru_cache(maxsize=8)
def _check_spaces(text: str) -> None:
    """Check spaces; thousands of policies of one environment have the same."""
    space_rules.check(json.loads(text))


def _require_version(data: Any) -> None:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise refused(
            Rule.VERSION, "this is not the card of a frozen policy", f'"format": "{FORMAT}"'
        )
    version = data.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise refused(
            Rule.VERSION,
            f"format_version {short(version)}",
            f"version {FORMAT_VERSION}, the one this rl-lab reads",
            "Update rl-lab, or freeze the run again with this one.",
        )

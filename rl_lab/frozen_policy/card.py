"""The card: what `policy.json` says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab import files, paths, spaces
from rl_lab.errors import BadInput

FORMAT = "rl_lab.frozen_policy"
FORMAT_VERSION = 1


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


def read_card(folder: Path) -> Card:
    """Read and check a policy's card.

    Raises:
        BadInput: It is not a card, is of a newer format, or lacks a field.
    """
    path = folder / paths.POLICY_CARD
    data = files.read_json(path)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BadInput(f"{path} is not the card of a frozen policy", f'"format": "{FORMAT}"')
    if data.get("format_version") != FORMAT_VERSION:
        raise BadInput(
            f"{path} has format_version {data.get('format_version')!r}",
            f"version {FORMAT_VERSION}, the one this rl-lab reads",
            "Update rl-lab, or freeze the run again with this one.",
        )
    fields = {f.name for f in dataclasses.fields(Card)}
    found = set(data) - {"format", "format_version"}
    if fields != found:
        wrong = ", ".join(sorted(fields ^ found))
        raise BadInput(f"{path}: missing or unknown fields {wrong}", "a card by rl-lab")
    values = {name: data[name] for name in fields}
    return Card(**{**values, "state": tuple(data["state"])})

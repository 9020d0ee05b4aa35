"""From a traced policy to a frozen one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from rl_lab import files, spaces
from rl_lab.agent import StateSpec, TracedPolicy
from rl_lab.freezing import exporting, proving, ties
from rl_lab.freezing.proving import Inputs
from rl_lab.frozen_policy import Card, FrozenPolicy
from rl_lab.frozen_policy.fields import readable

_GOLDEN = 8


def freeze(traced: TracedPolicy, facts: Mapping[str, Any]) -> FrozenPolicy:
    """Freeze a policy in memory; `frozen_policy.save` puts it on disk.

    Args:
        traced: The policy.
        facts: The fields of the card that only the caller knows: `agent`, `training_seed`,
            `steps`, `recipe_hash`, `environment`, `anchors`, `provenance`.

    Raises:
        BadInput: A space is of a kind that cannot be frozen.
        Failed: The policy cannot be traced, or its graph does not act as the source does.
    """
    observation_space = spaces.to_data(traced.observation_space)
    action_space = spaces.to_data(traced.action_space)
    inputs = proving.draw_inputs(traced, action_space)
    graph = exporting.trace(traced, inputs, observation_space)
    card = Card(
        algorithm=traced.facts["algorithm"],
        observation_space=observation_space,
        action_space=action_space,
        state=tuple(_state_data(spec) for spec in traced.state),
        action_masks=traced.action_masks,
        parameters=_count_parameters(graph),
        onnx_sha256=files.sha256(graph),
        golden={},
        **{**facts, "provenance": readable({**facts["provenance"], **traced.facts})},
    )
    policy = FrozenPolicy(card, graph)
    judge = ties.Judge(ties.gaps(policy))
    actions = proving.prove(traced, policy, inputs, judge)
    policy.card = dataclasses.replace(card, golden=_golden(inputs, actions[0], judge))
    return policy


def _state_data(spec: StateSpec) -> dict[str, Any]:
    return {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype}


def _golden(inputs: Inputs, actions: np.ndarray, judge: ties.Judge) -> dict[str, Any]:
    """Observations whose actions another machine's rounding cannot change, as far as there are."""
    first, masks = inputs.observations[0], None if inputs.masks is None else inputs.masks[0]
    rows = judge.clear_first(first, masks, len(actions))[:_GOLDEN]
    golden = {"observations": _listed(first, rows), "actions": actions[rows].tolist()}
    return golden if masks is None else {**golden, "action_masks": masks[rows].tolist()}


def _listed(observations: Any, rows: np.ndarray) -> Any:
    if isinstance(observations, dict):
        return {key: _listed(part, rows) for key, part in observations.items()}
    return observations[rows].tolist()


def _count_parameters(graph: bytes) -> int:
    model = onnx.load_from_string(graph)
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    return sum(int(np.prod(t.dims)) for t in model.graph.initializer if t.data_type in floats)

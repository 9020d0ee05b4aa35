"""Freezing: an agent's policy becomes a file that can only act, proved equal or refused."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import torch

from rl_lab import files, seeding, spaces
from rl_lab.agent import StateSpec, TracedPolicy
from rl_lab.errors import Failed
from rl_lab.frozen_policy import (
    Card,
    FrozenPolicy,
    actions_differ,
    array_type,
    input_names,
    input_spaces,
)

_OPSET = 17
_PROOF_OBSERVATIONS = 256
_GOLDEN_OBSERVATIONS = 8


def freeze(traced: TracedPolicy, facts: Mapping[str, Any]) -> FrozenPolicy:
    """Freeze a policy in memory; `frozen_policy.save` puts it on disk.

    Args:
        traced: The policy.
        facts: The fields of the card that only the caller knows: `agent`, `training_seed`,
            `steps`, `recipe_hash`, `environment`, `anchors`, `provenance`.

    Raises:
        BadInput: A space is of a kind that cannot be frozen.
        Failed: The graph does not act as the source does.
    """
    observation_space = spaces.to_data(traced.observation_space)
    action_space = spaces.to_data(traced.action_space)
    observations = _proof_observations(traced)
    graph = _trace(traced, observations, observation_space)
    card = Card(
        algorithm=traced.facts["algorithm"],
        observation_space=observation_space,
        action_space=action_space,
        state=tuple(_state_data(spec) for spec in traced.state),
        parameters=_count_parameters(graph),
        onnx_sha256=files.sha256(graph),
        golden={},
        **{**facts, "provenance": {**facts["provenance"], **traced.facts}},
    )
    policy = FrozenPolicy(card, graph)
    actions = prove(traced, policy, observations)
    golden = {
        "observations": _listed(observations),
        "actions": actions[:_GOLDEN_OBSERVATIONS].tolist(),
    }
    policy.card = dataclasses.replace(card, golden=golden)
    return policy


def _state_data(spec: StateSpec) -> dict[str, Any]:
    return {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype}


def _proof_observations(traced: TracedPolicy) -> Any:
    # Fixed, so that freezing the same weights twice gives the same bytes.
    generator = seeding.generator(0, "freezing")
    return spaces.draw(traced.observation_space, _PROOF_OBSERVATIONS, generator)


def _parts(observations: Any) -> list[np.ndarray]:
    return list(observations.values()) if isinstance(observations, dict) else [observations]


def _listed(observations: Any) -> Any:
    if isinstance(observations, dict):
        return {k: _listed(v) for k, v in observations.items()}
    return observations[:_GOLDEN_OBSERVATIONS].tolist()


def _trace(traced: TracedPolicy, observations: Any, space: spaces.SpaceData) -> bytes:
    count = 2  # a batch of one would be traced as a constant
    inputs = [
        torch.from_numpy(np.ascontiguousarray(part[:count], array_type(kind)[1]))
        for part, kind in zip(_parts(observations), input_spaces(space), strict=True)
    ]
    for spec in traced.state:
        inputs.append(torch.from_numpy(np.zeros((count, *spec.shape), spec.dtype)))
    names_in = input_names(space) + [s.name for s in traced.state]
    names_out = ["action", *(f"next_{s.name}" for s in traced.state)]
    buffer = io.BytesIO()
    with _quiet(), torch.no_grad():
        # The tracing exporter: 0.1 s and no further package, against 2-4 s and onnxscript for
        # its successor (docs/decisions.md).
        torch.onnx.export(
            traced.module,
            tuple(inputs),
            buffer,
            dynamo=False,
            opset_version=_OPSET,
            input_names=names_in,
            output_names=names_out,
            dynamic_axes={name: {0: "batch"} for name in (*names_in, *names_out)},
        )
    return _stripped(buffer.getvalue())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No tracer warnings, and no argument checks of distributions, which tracing trips over."""
    checks = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(False)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        torch.distributions.Distribution.set_default_validate_args(checks)


def _stripped(graph: bytes) -> bytes:
    """The same graph without the exporter's notes, which name local source files."""
    model = onnx.load_from_string(graph)
    for node in model.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    model.doc_string = ""
    model.producer_name = "rl_lab"
    model.producer_version = ""
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _count_parameters(graph: bytes) -> int:
    model = onnx.load_from_string(graph)
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    return sum(int(np.prod(t.dims)) for t in model.graph.initializer if t.data_type in floats)


def prove(traced: TracedPolicy, policy: FrozenPolicy, observations: Any) -> np.ndarray:
    """Compare the frozen policy with its source on observations `[N, ...]`.

    Returns:
        The frozen policy's actions `[N, ...]`.

    Raises:
        Failed: They act differently beyond rounding.
    """
    expected = np.asarray(traced.predict(observations))
    actions, _ = policy.act_batch(observations)
    if text := actions_differ(policy.action_space, actions, expected.astype(actions.dtype)):
        raise Failed(
            f"the frozen policy does not act as its source does: {text}",
            "equal actions on random observations",
            "Nothing was written. A custom policy must be traceable: no Python branches on values.",
        )
    return actions

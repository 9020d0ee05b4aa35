"""Freezing: an agent's policy becomes a file that can only act, proved equal or refused."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from rl_lab import files, paths, seeding, spaces
from rl_lab.agent import TracedPolicy
from rl_lab.errors import BadInput, Failed
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


def freeze(traced: TracedPolicy, facts: Mapping[str, Any], folder: Path) -> Card:
    """Write a frozen policy.

    Args:
        traced: The policy.
        facts: The fields of the card that only the caller knows: `agent`, `training_seed`,
            `steps`, `recipe_hash`, `environment`, `anchors`, `provenance`.
        folder: Where to; what was there is replaced as a whole.

    Raises:
        BadInput: A space is of a kind that cannot be frozen.
        Failed: The graph does not act as the source does, or cannot be written.
    """
    observation_space = spaces.to_data(traced.observation_space)
    action_space = spaces.to_data(traced.action_space)
    observations = _proof_observations(traced)
    graph = _trace(traced, observations, observation_space)
    card = Card(
        algorithm=traced.facts["algorithm"],
        observation_space=observation_space,
        action_space=action_space,
        state=tuple({"name": s.name, "shape": list(s.shape), "dtype": s.dtype} for s in traced.state),
        parameters=_count_parameters(graph),
        onnx_sha256=files.sha256(graph),
        golden={},
        **{**facts, "provenance": {**facts["provenance"], **traced.facts}},
    )
    actions = prove(traced, FrozenPolicy(card, graph), observations)
    golden = {
        "observations": _listed(observations),
        "actions": actions[:_GOLDEN_OBSERVATIONS].tolist(),
    }
    card = Card(**{**vars(card), "golden": golden})
    _replace_folder(folder, {paths.POLICY_GRAPH: graph}, card.to_data())
    return card


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


def _replace_folder(folder: Path, binary: Mapping[str, bytes], card: Mapping[str, Any]) -> None:
    """Write into a new folder and swap it in, so that nobody sees half a policy."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise files.cannot_write(folder, error) from error
    old = fresh.with_name(fresh.name + ".old")
    try:
        fresh.chmod(0o755)
        for name, data in binary.items():
            files.write_bytes(fresh / name, data)
        files.write_json(fresh / paths.POLICY_CARD, card)
        if folder.exists():
            _require_policy(folder)
            os.rename(folder, old)
        os.rename(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _require_policy(folder: Path) -> None:
    known = {paths.POLICY_CARD, paths.POLICY_GRAPH}
    others = sorted(p.name for p in folder.iterdir() if p.name not in known)
    if others:
        raise BadInput(
            f"{folder} holds other files: {', '.join(others[:5])}",
            "a new folder, or a frozen policy to replace",
            "Choose another to=FOLDER.",
        )

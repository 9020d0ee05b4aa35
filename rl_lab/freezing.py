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
from rl_lab.frozen_policy import Card, FrozenPolicy, State, actions_differ, layout
from rl_lab.frozen_policy.fields import readable

_OPSET = 17
_PROOF_DECISIONS = 256
_PROOF_STEPS = 8  # of policies with memory
_PROOF_SINGLES = 16  # episodes compared one by one
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
    inputs = _proof_inputs(traced, action_space)
    graph = _trace(traced, inputs, observation_space)
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
    actions = prove(traced, policy, inputs)
    policy.card = dataclasses.replace(card, golden=_golden(inputs, actions))
    return policy


def _state_data(spec: StateSpec) -> dict[str, Any]:
    return {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype}


@dataclasses.dataclass(frozen=True)
class _Inputs:
    """T batches of observations `[N, ...]` and, for masked policies, of masks `[N, choices]`."""

    observations: list[Any]
    masks: list[np.ndarray] | None


def _proof_inputs(traced: TracedPolicy, action_space: spaces.SpaceData) -> _Inputs:
    # Fixed, so that freezing the same weights twice gives the same bytes.
    generator = seeding.generator(0, "freezing")
    steps = _PROOF_STEPS if traced.state else 1
    count = _PROOF_DECISIONS // steps
    observations = [spaces.draw(traced.observation_space, count, generator) for _ in range(steps)]
    if not traced.action_masks:
        return _Inputs(observations, None)
    return _Inputs(
        observations, [random_masks(action_space, count, generator) for _ in range(steps)]
    )


def random_masks(
    action_space: spaces.SpaceData, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Masks `[count, choices]` that forbid about half of the choices, never all of one kind."""
    sizes = action_space.get("nvec") or [action_space["n"]]
    if action_space["kind"] == "multi_binary":
        sizes = [2] * action_space["n"]
    columns = []
    for size in sizes:
        allowed = generator.random((count, size)) < 0.5
        allowed[np.arange(count), generator.integers(0, size, count)] = True
        columns.append(allowed)
    return np.concatenate(columns, axis=1)


def _golden(inputs: _Inputs, actions: np.ndarray) -> dict[str, Any]:
    golden = {
        "observations": _listed(inputs.observations[0]),
        "actions": actions[0, :_GOLDEN].tolist(),
    }
    if inputs.masks is not None:
        golden["action_masks"] = inputs.masks[0][:_GOLDEN].tolist()
    return golden


def _listed(observations: Any) -> Any:
    if isinstance(observations, dict):
        return {k: _listed(v) for k, v in observations.items()}
    return observations[:_GOLDEN].tolist()


def _trace(traced: TracedPolicy, inputs: _Inputs, space: spaces.SpaceData) -> bytes:
    count = 2  # a batch of one would be traced as a constant
    arrays = [
        layout.batch_of(kind, name, part[:count])
        for kind, name, part in zip(
            layout.input_spaces(space),
            layout.input_names(space),
            layout.parts(inputs.observations[0]),
            strict=True,
        )
    ]
    arrays += [np.zeros((count, *spec.shape), spec.dtype) for spec in traced.state]
    arrays += [] if inputs.masks is None else [inputs.masks[0][:count]]
    names_in = [*layout.input_names(space), *(s.name for s in traced.state)]
    names_in += [] if inputs.masks is None else [layout.MASK]
    names_out = ["action", *(f"next_{s.name}" for s in traced.state)]
    return _stripped(_export(traced.module, arrays, names_in, names_out))


def _export(
    module: Any, arrays: list[np.ndarray], names_in: list[str], names_out: list[str]
) -> bytes:
    buffer: Any = io.BytesIO()
    try:
        with _quiet(), torch.no_grad():
            # The tracing exporter: 0.03 s and no further package, against 2-4 s and onnxscript
            # for its successor (docs/decisions.md).
            torch.onnx.export(
                module,
                tuple(torch.from_numpy(array) for array in arrays),
                buffer,
                dynamo=False,
                opset_version=_OPSET,
                input_names=names_in,
                output_names=names_out,
                dynamic_axes={name: {0: "batch"} for name in (*names_in, *names_out)},
            )
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        raise Failed(
            f"the policy cannot be traced: {' '.join(str(error).split())[:300]}",
            "operations that ONNX knows, and no Python branches on values",
            "Change the custom policy or features extractor.",
        ) from error
    return bytes(buffer.getvalue())


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
    _skip_monotonic(model.graph)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _skip_monotonic(graph: onnx.GraphProto) -> None:
    """Let each ArgMax look behind softmax and log-normalisation, which keep the order.

    A categorical distribution's mode is the argmax of its probabilities; the argmax of its raw
    scores is the same but for float32 ties, and three operators cheaper.
    """
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type == "ArgMax":
            while (before := _same_order(node.input[0], makers)) is not None:
                node.input[0] = before
    _drop_unused(graph)


def _same_order(name: str, makers: Mapping[str, onnx.NodeProto]) -> str | None:
    """What an array was made from without changing which entry is largest; None if unknown."""
    node = makers.get(name)
    if node is None:
        return None
    if node.op_type == "Softmax":
        return str(node.input[0])
    normalizer = makers.get(node.input[1]) if node.op_type == "Sub" else None
    if normalizer is not None and normalizer.op_type == "ReduceLogSumExp":
        return str(node.input[0]) if normalizer.input[0] == node.input[0] else None
    return None


def _drop_unused(graph: onnx.GraphProto) -> None:
    wanted = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    weights = [tensor for tensor in graph.initializer if tensor.name in wanted]
    del graph.initializer[:]
    graph.initializer.extend(weights)


def _count_parameters(graph: bytes) -> int:
    model = onnx.load_from_string(graph)
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    return sum(int(np.prod(t.dims)) for t in model.graph.initializer if t.data_type in floats)


def prove(traced: TracedPolicy, policy: FrozenPolicy, inputs: _Inputs) -> np.ndarray:
    """Compare the frozen policy with its source, decision by decision from fresh states.

    Once for the whole batch, and once more for single episodes: a policy that looks at its batch
    (`if x.sum() > 0`) can agree in one and not in the other.

    Returns:
        The frozen policy's actions `[T, N, ...]`.

    Raises:
        Failed: They act differently beyond rounding.
    """
    actions = _compare(traced, policy, inputs)
    for i in range(_PROOF_SINGLES):
        alone = [_slice(batch, i) for batch in inputs.observations]
        masks = None if inputs.masks is None else [mask[i : i + 1] for mask in inputs.masks]
        _compare(traced, policy, _Inputs(alone, masks))
    return actions


def _slice(observations: Any, i: int) -> Any:
    if isinstance(observations, dict):
        return {key: _slice(part, i) for key, part in observations.items()}
    return observations[i : i + 1]


def _compare(traced: TracedPolicy, policy: FrozenPolicy, inputs: _Inputs) -> np.ndarray:
    expected = np.asarray(traced.predict(inputs.observations, inputs.masks))
    state: State = ()
    actions = []
    for t, observations in enumerate(inputs.observations):
        masks = None if inputs.masks is None else inputs.masks[t]
        try:
            action, state = policy.act_batch(observations, state, masks)
        except Exception as error:
            raise _not_equal(f"it cannot act: {' '.join(str(error).split())[:200]}") from error
        actions.append(action)
        text = actions_differ(policy.action_space, action, expected[t].astype(action.dtype))
        if text:
            raise _not_equal(f"{text}, at decision {t + 1} of a batch of {len(action)}")
    return np.stack(actions)


def _not_equal(what: str) -> Failed:
    return Failed(
        f"the frozen policy does not act as its source does: {what}",
        "equal actions on random observations",
        "Nothing was written. A custom policy must not branch on values in Python.",
    )

"""The ONNX graph of a traced policy."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from rl_lab import spaces
from rl_lab.agent import TracedPolicy
from rl_lab.errors import Failed
from rl_lab.freezing import simplifying
from rl_lab.freezing.proving import Inputs
from rl_lab.frozen_policy import layout

_OPSET = 17


def trace(traced: TracedPolicy, inputs: Inputs, space: spaces.SpaceData) -> bytes:
    """Trace a policy on two of the inputs that it is proved with; its graph as ONNX.

    Raises:
        Failed: It cannot be traced.
    """
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
    return simplifying.stripped(_export(traced.module, arrays, names_in, names_out))


def _export(
    module: Any, arrays: list[np.ndarray], names_in: list[str], names_out: list[str]
) -> bytes:
    buffer: Any = io.BytesIO()
    # A policy stays where it learns: on a GPU perhaps.
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    try:
        with _quiet(), torch.no_grad():
            # The tracing exporter: 0.03 s and no further package, against 2-4 s and onnxscript
            # for its successor (docs/decisions.md).
            torch.onnx.export(
                module,
                tuple(torch.from_numpy(array).to(device) for array in arrays),
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

"""`reference.json` beside a frozen policy: written whole, read as data that nobody vouches for."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rl_lab import arrays, files, paths
from rl_lab.drift.reference import Reference
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import locate, read_json
from rl_lab.statistics.dynamics import DynamicsModel

FORMAT = "rl_lab.reference"
FORMAT_VERSION = 1
NONE = "none"
_SEAL = "reference_sha256"
_ARRAYS = ("low_s", "high_s", "sd_s")
_NUMBERS = ("false_alarm_rate", "kappa", "novelty_rate")


def save(reference: Reference, folder: Path) -> None:
    """Put a reference beside its policy.

    Raises:
        Failed: The disk is full or read-only.
    """
    data = to_data(reference)
    files.write_json(folder / paths.REFERENCE, {**data, _SEAL: _hash(data)})


def to_data(reference: Reference) -> dict[str, Any]:
    """A reference as JSON-ready data, format and version first."""
    fields = {f.name: getattr(reference, f.name) for f in dataclasses.fields(reference)}
    model = reference.model
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **fields,
        **{name: arrays.encode(fields[name]) for name in _ARRAYS},
        "samples": {
            "lengths": [len(sample) for sample in reference.samples],
            "rows": arrays.encode(np.concatenate(reference.samples)),
        },
        "model": None
        if model is None
        else {
            "weights": arrays.encode(model.weights),
            "sd_s": arrays.encode(model.sd_s),
            "residual_mean": model.residual_mean,
            "residual_sd": model.residual_sd,
        },
        "residuals": list(reference.residuals),
    }


def _hash(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return files.sha256(text.encode())


def load(folder: str | Path, policy_sha256: str) -> Reference:
    """Read the reference of a frozen policy.

    Args:
        folder: Holds `reference.json` beside the policy; a run folder is taken for its `policy/`.
        policy_sha256: The policy that it must be of.

    Raises:
        BadInput: There is none, it is of another policy, or it is damaged.
    """
    path = locate(Path(folder)) / paths.REFERENCE
    if not path.is_file():
        raise BadInput(
            f"{path.parent} has no {paths.REFERENCE}",
            "a frozen policy with the statistics of its own world",
            f"`rl-lab freeze run=RUN to=FOLDER` and `train` write them; {_why_none(path.parent)}",
        )
    data = read_json(path)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BadInput(f"{path} is no reference", f'"format": "{FORMAT}"', "Freeze the run again.")
    if type(version := data.get("format_version")) is not int or version != FORMAT_VERSION:
        raise BadInput(
            f"{path} has format_version {version!r}",
            f"version {FORMAT_VERSION}, the one this rl-lab reads",
            "Update rl-lab, or freeze the run again with this one.",
        )
    body = {k: v for k, v in data.items() if k != _SEAL}
    if data.get(_SEAL) != _hash(body):
        raise _damaged(path, "it was changed after it was written")
    if body.get("policy_sha256") != policy_sha256:
        raise BadInput(
            f"{path} is of another policy", f"of {policy_sha256[:12]}...", "Freeze the run again."
        )
    try:
        return _parse(body)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def file_sha256(folder: Path) -> str:
    """What names the reference of a frozen policy; `none` where there is none to be read."""
    try:
        return files.sha256((locate(folder) / paths.REFERENCE).read_bytes())
    except (BadInput, OSError):
        return NONE


def _why_none(folder: Path) -> str:
    return f"older policies and policies that see images have none ({folder.name})."


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(
        f"{path} is damaged: {' '.join(what.split())[:200]}",
        "a reference as rl-lab wrote it",
        "Freeze the run again.",
    )


def _parse(data: Mapping[str, Any]) -> Reference:
    fields = {f.name: data[f.name] for f in dataclasses.fields(Reference)}
    _require(set(data) == {*fields, "format", "format_version"}, "fields")
    parts = {name: _finite(arrays.decode(data[name], name), name) for name in _ARRAYS}
    size = len(parts["sd_s"])
    _require(all(a.shape == (size,) for a in parts.values()) and size > 0, "sd_s")
    _require(bool((parts["sd_s"] > 0).all()), "sd_s")
    for name in _NUMBERS:
        _require(_is_number(data[name]), name)
    _require(type(data["categories"]) is bool, "categories")
    lengths = [int(n) for n in data["samples"]["lengths"]]
    rows = _finite(arrays.decode(data["samples"]["rows"], "samples"), "samples")
    _require(rows.shape == (sum(lengths), size) and min(lengths) >= 1, "samples")
    ends = np.cumsum(lengths)[:-1]
    model = None if data["model"] is None else _parse_model(data["model"], size)
    residuals = tuple(float(r) for r in data["residuals"])
    if model is not None:
        _require(_is_number(data["threshold"]) and data["threshold"] >= 0, "threshold")
        _require(len(residuals) == len(lengths) and all(map(math.isfinite, residuals)), "residuals")
    samples = tuple(np.split(rows, ends))
    return Reference(
        **{**fields, **parts, "samples": samples, "model": model, "residuals": residuals}
    )


def _parse_model(data: Mapping[str, Any], size: int) -> DynamicsModel:
    weights = _finite(arrays.decode(data["weights"], "weights"), "weights")
    sd_s = _finite(arrays.decode(data["sd_s"], "sd_s"), "sd_s")
    _require(weights.ndim == 2 and weights.shape[1] == size and sd_s.shape == (size,), "weights")
    mean, sd = data["residual_mean"], data["residual_sd"]
    _require(_is_number(mean) and _is_number(sd) and sd > 0, "residual_sd")
    return DynamicsModel(weights, sd_s, float(mean), float(sd))


def _finite(array: np.ndarray, field: str) -> np.ndarray:
    _require(array.dtype == np.float64 and bool(np.isfinite(array).all()), field)
    return array


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _require(sound: bool, field: str) -> None:
    if not sound:
        raise ValueError(f"field {field!r} is not what it should be")

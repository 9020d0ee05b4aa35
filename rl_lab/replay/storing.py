"""The file of a recording.

JSON: `format`, `format_version`, then the fields of `Replay`, with `length` and `episode_return`
for the reader. Arrays are written by `rl_lab.arrays`.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np

from rl_lab import arrays, files, shifts
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput
from rl_lab.replay.recording import Replay

FORMAT = "rl_lab.replay"
FORMAT_VERSION = 1
_FOR_READERS = ("length", "episode_return")


def save(replay: Replay, path: Path) -> None:
    """Write a recording, a few kilobytes.

    Raises:
        Failed: The disk is full or read-only.
    """
    data = {f.name: getattr(replay, f.name) for f in dataclasses.fields(replay)}
    plain = {k: arrays.encode(v) if isinstance(v, np.ndarray) else v for k, v in data.items()}
    summary = {name: getattr(replay, name) for name in _FOR_READERS}
    head = {"format": FORMAT, "format_version": FORMAT_VERSION}
    files.write_json(path, {**head, **summary, **plain})


def holds(path: Path, replay: Replay) -> bool:
    """Whether a file holds this very episode, whoever recorded it where."""
    try:
        stored = load(path)
    except BadInput:
        return False
    return all(
        np.array_equal(getattr(stored, field.name), getattr(replay, field.name))
        for field in dataclasses.fields(Replay)
        if field.name != "recorded_with"
    )


def free(path: Path, replay: Replay) -> Path:
    """`path`, or the first `path-2`, `path-3`, ... that holds nothing else than this episode."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))
    places = itertools.chain([path], numbered)
    return next(place for place in places if not place.exists() or holds(place, replay))


def load(path: Path) -> Replay:
    """Read a recording.

    Raises:
        BadInput: The file is missing, is no recording, is damaged, or is of a newer format.
    """
    data = files.read_json(path)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BadInput(f"{path} is not a replay", f'"format": "{FORMAT}"', "Check the path.")
    if data.get("format_version") != FORMAT_VERSION:
        raise BadInput(
            f"{path} has format_version {data.get('format_version')!r}",
            f"version {FORMAT_VERSION}, the one this rl-lab reads",
            "Update rl-lab, or record the episode again with this one.",
        )
    fields = {k: v for k, v in data.items() if k not in ("format", "format_version")}
    expected = {f.name for f in dataclasses.fields(Replay)} | {*_FOR_READERS}
    if wrong := sorted(expected ^ set(fields)):
        raise _damaged(path, f"missing or unknown fields {', '.join(wrong)}")
    try:
        return _parse(fields)
    except BadInput as error:
        raise _damaged(path, error.came) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(
        f"{path} is damaged: {' '.join(what.split())[:200]}",
        "a replay as rl-lab wrote it",
        "Record the episode again.",
    )


def _parse(fields: dict[str, Any]) -> Replay:
    length, episode_return = (fields.pop(name) for name in _FOR_READERS)
    for name in ("actions", "rewards", "marks"):
        fields[name] = arrays.decode(fields[name], name)
    replay = Replay(**fields)
    EnvironmentRecipe.from_data(replay.environment)
    _check_shift(replay)
    _require(type(replay.seed) is int and replay.seed >= 0, "seed")
    _require(type(replay.training_seed) is int, "training_seed")
    _require(isinstance(replay.agent, str), "agent")
    _require(isinstance(replay.recorded_with, dict), "recorded_with")
    _require(all(type(f) is bool for f in (replay.terminated, replay.truncated)), "ended")
    _require(replay.terminated or replay.truncated, "ended")
    for name in ("observations_sha256", "policy_sha256"):
        _require(len(bytes.fromhex(getattr(replay, name))) == 32, name)
    steps = len(replay.actions)
    _require(steps >= 1 and steps == length, "length")
    _require(replay.rewards.shape == (steps,) and replay.rewards.dtype == np.float64, "rewards")
    _require(replay.marks.shape == (steps + 1,) and replay.marks.dtype == np.uint32, "marks")
    _require(math.isfinite(replay.episode_return), "rewards")
    _require(replay.episode_return == episode_return, "episode_return")
    return replay


def _check_shift(replay: Replay) -> None:
    _require(type(replay.delta) in (int, float) and 0 <= replay.delta <= 1, "delta")
    if replay.shift is None:
        return _require(replay.delta == 0, "delta")
    shift = shifts.from_data(replay.shift)
    _require(math.isfinite(shift.value(replay.delta)), "shift")


def _require(sound: bool, field: str) -> None:
    if not sound:
        raise ValueError(f"field {field!r} is not what it should be")

"""Frozen policies on disk: save, find, load, prove."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from rl_lab import files, paths
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import golden, graph, reading, space_rules
from rl_lab.frozen_policy.card import Card, read_card, sealed
from rl_lab.frozen_policy.card import from_data as card_from_data
from rl_lab.frozen_policy.policy import FrozenPolicy
from rl_lab.frozen_policy.rules import Rule, about, reason, refused

# Two runtimes sum in different orders; five decimals of the action's range are the promise.
BOX_TOLERANCE = 1e-5
# Indented, a number takes up to 40 bytes of text.
_GOLDEN_NUMBERS = 2**17
# Bounds like +-3.4e38 mean none; divided by such a range every action would be equal to any other.
_UNBOUNDED = 1e6


def save(policy: FrozenPolicy, folder: Path) -> None:
    """Put a policy on disk in place of one that was there.

    Raises:
        BadInput: The folder holds something that is not a frozen policy, or the policy is one
            that loading would refuse; nothing was written.
        Failed: The disk is full or read-only.
    """
    if folder.exists():
        ours = {paths.POLICY_CARD, paths.POLICY_GRAPH, paths.REFERENCE}
        # A process may have died in the middle of this.
        torn = set[str]().union(*(files.leftovers(folder / name) for name in ours))
        others = sorted({p.name for p in folder.iterdir()} - ours - torn)
        if others:
            raise BadInput(
                f"{folder} holds other files: {', '.join(others[:5])}",
                "a new folder, or a frozen policy to replace",
                "Choose another to=FOLDER.",
            )
        for name in torn:
            (folder / name).unlink(missing_ok=True)
    # What loading would refuse must not be what is left of a long training.
    data = sealed(_trimmed(policy.card).to_data())
    check_graph(policy.graph, card_from_data(data))
    if (size := len(json.dumps(data, indent=2))) > reading.CARD_BYTES:
        raise refused(Rule.SIZES, f"a card of {size} bytes", f"at most {reading.CARD_BYTES}")
    # The statistics of the policy that was there are not this one's.
    (folder / paths.REFERENCE).unlink(missing_ok=True)
    # Graph first: whoever reads between the two writes is told that the hash differs.
    files.write_bytes(folder / paths.POLICY_GRAPH, policy.graph)
    files.write_json(folder / paths.POLICY_CARD, data)


def _trimmed(card: Card) -> Card:
    """The card with as many golden vectors as fit: eight large pictures would make megabytes."""
    size = space_rules.space_size(card.observation_space, "observation_space")
    count = max(1, _GOLDEN_NUMBERS // size)
    if len(card.golden["actions"]) <= count:
        return card
    kept = {
        name: {k: part[:count] for k, part in values.items()}
        if isinstance(values, dict)
        else values[:count]
        for name, values in card.golden.items()
    }
    return dataclasses.replace(card, golden=kept)


def locate(folder: Path) -> Path:
    """The frozen policy at `folder`: itself, or the final one of a run folder.

    Raises:
        BadInput: There is none.
    """
    for candidate in (folder, folder / "policy"):
        # A link counts as there, so that it is refused as a link and not as missing.
        if os.path.lexists(candidate / paths.POLICY_CARD):
            return candidate
    raise BadInput(
        f"{folder} holds no frozen policy",
        f"a folder with {paths.POLICY_CARD} and {paths.POLICY_GRAPH}, or a finished run",
        "`rl-lab list` shows what is at hand; `rl-lab freeze run=FOLDER to=FOLDER` makes one.",
    )


def load_policy(folder: str | Path, threads: int = 1) -> FrozenPolicy:
    """Load a frozen policy and prove that it still acts as it did when it was frozen.

    Loading runs no code from the folder, writes nothing and opens only the two files, once each.

    `action, state = policy.act(observation, state)` is one decision, `state = policy.reset()` an
    episode's beginning; `actions, state = policy.act_batch(observations, state)` are N at once.
    An observation has the shape of `policy.observation_space` and numbers of any type, which are
    cast to the space's (a Dict: one array per key; a batch: `[N, ...]`). An action has shape and
    type of `policy.action_space`, a Discrete one is a NumPy int64. A state is a tuple of arrays
    `[N, ...]` as `policy.card.state` lists them, `()` without memory. Both raise BadInput where
    a shape differs, or where a state or a mask is missing or has no use.

    Args:
        folder: Holds `policy.json` and `policy.onnx`; a run folder is taken for its `policy/`.
        threads: Threads of onnxruntime.

    Raises:
        BadInput: The folder breaks one of the rules of docs/frozen-policy.md; names the rule.
    """
    place = locate(Path(folder))
    if place != Path(folder) and place.is_symlink():
        raise refused(Rule.FILES, f"{place} is a symbolic link", "a folder of its own")
    card = read_card(place)
    path = place / paths.POLICY_GRAPH
    with about(path):
        data = reading.read_file(path, reading.GRAPH_BYTES)
        check_graph(data, card)
    with about(place):
        policy = _session(card, data, threads)
        _prove(policy)
    policy.folder = place
    return policy


def check_graph(data: bytes, card: Card) -> None:
    """Refuse a graph that is not the card's, or not one that rl-lab could have written.

    Raises:
        BadInput: It breaks a rule; names it.
    """
    if files.sha256(data) != card.onnx_sha256:
        raise refused(
            Rule.GRAPH_HASH,
            "this is not the file its card was written for",
            f"SHA-256 {card.onnx_sha256[:12]}...",
            "Freeze the run again: the folder was changed or damaged.",
        )
    graph.check(data, card)


def _session(card: Card, data: bytes, threads: int) -> FrozenPolicy:
    try:
        return FrozenPolicy(card, data, threads)
    except Exception as error:  # onnxruntime's errors have no common type
        raise refused(Rule.RUNTIME, f"onnxruntime refuses it: {reason(error)}") from error


def _prove(policy: FrozenPolicy) -> None:
    card = policy.card
    known = golden.read(card.golden, card.observation_space, card.action_space, card.action_masks)
    try:
        actions, following = policy.act_batch(known.observations, action_masks=known.masks)
        # One decision runs with other buffers; that its numbers agree is the tests' matter.
        policy.act(known.first, policy.reset(), None if known.masks is None else known.masks[0])
    except Exception as error:  # onnxruntime's errors have no common type
        raise refused(Rule.RUNTIME, f"onnxruntime fails: {reason(error)}") from error
    text = actions_differ(policy.action_space, actions, known.actions)
    if any(not np.isfinite(array).all() for array in following):
        text = text or "its state is not finite"
    if text:
        raise refused(
            Rule.GOLDEN_ACTIONS,
            f"it does not act as when it was frozen: {text}",
            "the golden actions of its card",
            "Freeze the run again, or use the onnxruntime version it was frozen with.",
        )


def actions_differ(space: Any, one: np.ndarray, two: np.ndarray) -> str:
    """How two batches of actions differ beyond the promise, as a clause; "" where they do not."""
    one, two = np.asarray(one), np.asarray(two)
    if one.shape != two.shape:
        return f"actions of shape {one.shape} instead of {two.shape}"
    if one.dtype.kind != "f":
        wrong = int((one != two).reshape(len(one), -1).any(axis=1).sum())
        return f"{wrong} of {len(one)} actions differ" if wrong else ""
    one, two = one.astype(np.float64), two.astype(np.float64)
    error = np.abs(one - two) / _scale(space, two)
    worst = float(np.max(error)) if error.size else 0.0
    if worst <= BOX_TOLERANCE:
        return ""
    return f"actions differ by {worst:.1e} of the action range (allowed: {BOX_TOLERANCE:.0e})"


def _scale(space: Any, actions: np.ndarray) -> np.ndarray:
    """What counts as the size of an action: its range, or itself where it has no honest range."""
    scale = np.asarray(space.high, np.float64) - np.asarray(space.low, np.float64)
    return np.where((scale > 0) & (scale < _UNBOUNDED), scale, np.maximum(1.0, np.abs(actions)))

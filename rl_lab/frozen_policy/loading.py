"""Frozen policies on disk: save, find, load, prove."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rl_lab import files, paths
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import layout
from rl_lab.frozen_policy.card import Card, read_card
from rl_lab.frozen_policy.policy import FrozenPolicy

# Two runtimes sum in different orders; five decimals of the action's range are the promise.
BOX_TOLERANCE = 1e-5


def save(policy: FrozenPolicy, folder: Path) -> None:
    """Put a policy on disk in place of one that was there.

    Raises:
        BadInput: The folder holds something that is not a frozen policy.
        Failed: The disk is full or read-only.
    """
    if folder.exists():
        ours = {paths.POLICY_CARD, paths.POLICY_GRAPH}
        others = sorted({p.name for p in folder.iterdir()} - ours)
        if others:
            raise BadInput(
                f"{folder} holds other files: {', '.join(others[:5])}",
                "a new folder, or a frozen policy to replace",
                "Choose another to=FOLDER.",
            )
    # Graph first: whoever reads between the two writes is told that the hash differs.
    files.write_bytes(folder / paths.POLICY_GRAPH, policy.graph)
    files.write_json(folder / paths.POLICY_CARD, policy.card.to_data())


def locate(folder: Path) -> Path:
    """The frozen policy at `folder`: itself, or the final one of a run folder.

    Raises:
        BadInput: There is none.
    """
    for candidate in (folder, folder / "policy"):
        if (candidate / paths.POLICY_CARD).is_file():
            return candidate
    raise BadInput(
        f"{folder} holds no frozen policy",
        f"a folder with {paths.POLICY_CARD} and {paths.POLICY_GRAPH}, or a finished run",
        "`rl-lab list` shows what is at hand; `rl-lab freeze run=FOLDER to=FOLDER` makes one.",
    )


def load_policy(folder: str | Path, threads: int = 1) -> FrozenPolicy:
    """Load a frozen policy and prove that it still acts as it did when it was frozen.

    Args:
        folder: Holds `policy.json` and `policy.onnx`; a run folder is taken for its `policy/`.
        threads: Threads of onnxruntime.

    Raises:
        BadInput: The folder is not a frozen policy, is damaged, or is of a newer format.
    """
    folder = locate(Path(folder))
    card = read_card(folder)
    graph = _read_graph(folder, card)
    try:
        policy = FrozenPolicy(card, graph, threads)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(
            f"onnxruntime refuses {folder / paths.POLICY_GRAPH}: {str(error)[:200]}",
            "a graph that rl-lab wrote",
            "Freeze the run again.",
        ) from error
    _prove(policy, folder)
    return policy


def _read_graph(folder: Path, card: Card) -> bytes:
    path = folder / paths.POLICY_GRAPH
    try:
        graph = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "the policy's graph") from error
    if files.sha256(graph) != card.onnx_sha256:
        raise BadInput(
            f"{path} is not the file its card was written for",
            f"SHA-256 {card.onnx_sha256[:12]}...",
            "Freeze the run again: the folder was changed or damaged.",
        )
    return graph


def _prove(policy: FrozenPolicy, folder: Path) -> None:
    golden = policy.card.golden
    masks = golden.get("action_masks")
    actions, _ = policy.act_batch(_golden_batch(policy.card), action_masks=masks)
    _, dtype = layout.array_type(policy.card.action_space)
    if text := actions_differ(policy.action_space, actions, np.array(golden["actions"], dtype)):
        raise BadInput(
            f"{folder} does not act as when it was frozen: {text}",
            "the golden actions of its card",
            "Freeze the run again, or use the onnxruntime version it was frozen with.",
        )


def _golden_batch(card: Card) -> Any:
    stored = card.golden["observations"]
    if card.observation_space["kind"] == "dict":
        kinds = card.observation_space["spaces"]
        return {k: np.array(stored[k], layout.array_type(s)[1]) for k, s in kinds.items()}
    return np.array(stored, layout.array_type(card.observation_space)[1])


def actions_differ(space: Any, one: np.ndarray, two: np.ndarray) -> str:
    """How two batches of actions differ beyond the promise, as a clause; "" where they do not."""
    one, two = np.asarray(one), np.asarray(two)
    if one.shape != two.shape:
        return f"actions of shape {one.shape} instead of {two.shape}"
    if one.dtype.kind != "f":
        wrong = int((one != two).reshape(len(one), -1).any(axis=1).sum())
        return f"{wrong} of {len(one)} actions differ" if wrong else ""
    scale = np.asarray(space.high, np.float64) - np.asarray(space.low, np.float64)
    error = np.abs(one.astype(np.float64) - two.astype(np.float64)) / scale
    worst = float(np.max(error)) if error.size else 0.0
    if worst <= BOX_TOLERANCE:
        return ""
    return f"actions differ by {worst:.1e} of the action range (allowed: {BOX_TOLERANCE:.0e})"

"""How close a discrete decision was: two runtimes round differently, and a tie goes either way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from rl_lab.frozen_policy import FrozenPolicy, State

# Best and second-best score closer than this, relative to scores above 1: no preference.
_TIE = 1e-4
# Far enough for any machine's rounding: what may be stored as an action to come again.
_CLEAR = 1e-3

Gaps = Callable[[Any, State, Any], np.ndarray]


def gaps(policy: FrozenPolicy) -> Gaps:
    """A function of observations, state and masks that gives the gaps `[N, choices made]`.

    A gap is that between the two best scores of a choice, divided by the best one where that is
    above 1. No column for what is not chosen by argmax or rounding.
    """
    model = onnx.load_from_string(policy.graph)
    nodes = [node for node in model.graph.node if node.op_type in ("ArgMax", "Round")]
    if not nodes:
        return lambda observations, state, masks: np.empty((0, 0))
    kinds = {node.input[0]: node.op_type for node in nodes}
    for name in kinds:
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    watched = FrozenPolicy(policy.card, model.SerializeToString())

    def found(observations: Any, state: State, masks: Any) -> np.ndarray:
        actions, following = watched.act_batch(observations, state, masks)
        scores = following[len(policy.card.state) :]
        pairs = zip(scores, kinds.values(), strict=True)
        columns = [_gap(array, kind, len(actions)) for array, kind in pairs]
        return np.concatenate(columns, axis=1)

    return found


def _gap(scores: np.ndarray, kind: str, count: int) -> np.ndarray:
    """Gaps `[N, choices]` of one node's input; none where it is not one row per decision."""
    if scores.ndim != 2 or len(scores) != count or scores.dtype.kind != "f":
        return np.empty((count, 0))
    if kind == "Round":
        # A probability: it stands against its complement.
        return np.asarray(np.abs(2.0 * scores.astype(np.float64) - 1.0))
    if scores.shape[1] < 2:
        return np.full((count, 1), np.inf)
    second, best = np.sort(scores.astype(np.float64), axis=1)[:, -2:].T
    return np.asarray((best - second) / np.maximum(1.0, np.abs(best)))[:, None]


@dataclasses.dataclass(frozen=True)
class Judge:
    """Tells ties from mistakes.

    Attributes:
        gaps: Of the frozen policy, see `gaps`.
    """

    gaps: Gaps

    def only_ties(
        self, one: np.ndarray, two: np.ndarray, observations: Any, state: State, masks: Any
    ) -> bool:
        """Whether two batches of actions differ in nothing but choices without a preference.

        Args:
            one: Discrete actions `[N, ...]`.
            two: The same.
            observations: What they answer.
            state: Before them.
            masks: With them, or None.
        """
        if one.shape != two.shape or one.dtype.kind == "f":
            return False
        differing = (one != two).reshape(len(one), -1).sum(axis=1)
        tied = (self.gaps(observations, state, masks) < _TIE).sum(axis=1)
        return len(tied) == len(one) and bool((differing <= tied).all())

    def clear_first(self, observations: Any, masks: Any, count: int) -> np.ndarray:
        """Row numbers of a batch of first decisions, those without a close call in front."""
        found = self.gaps(observations, (), masks)
        close = np.zeros(count, bool) if not found.size else (found < _CLEAR).any(axis=1)
        return np.argsort(close, kind="stable")

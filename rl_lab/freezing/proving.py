"""The proof that a frozen policy acts as its source does."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rl_lab import seeding, spaces
from rl_lab.agent import TracedPolicy
from rl_lab.errors import Failed
from rl_lab.freezing import ties
from rl_lab.frozen_policy import FrozenPolicy, State, actions_differ

_DECISIONS = 256
_STEPS = 8  # of policies with memory
_SINGLES = 16  # episodes compared one by one


@dataclasses.dataclass(frozen=True)
class Inputs:
    """T batches of observations `[N, ...]` and, for masked policies, of masks `[N, choices]`."""

    observations: list[Any]
    masks: list[np.ndarray] | None


def draw_inputs(traced: TracedPolicy, action_space: spaces.SpaceData) -> Inputs:
    """Random members of the observation space, and masks for a policy that needs them."""
    # Fixed, so that freezing the same weights twice gives the same bytes.
    generator = seeding.generator(0, "freezing")
    steps = _STEPS if traced.state else 1
    count = _DECISIONS // steps
    observations = [spaces.draw(traced.observation_space, count, generator) for _ in range(steps)]
    if not traced.action_masks:
        return Inputs(observations, None)
    return Inputs(
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


def prove(
    traced: TracedPolicy, policy: FrozenPolicy, inputs: Inputs, judge: ties.Judge
) -> np.ndarray:
    """Compare the frozen policy with its source, decision by decision from fresh states.

    Once for the whole batch, and once more for single episodes: a policy that looks at its batch
    (`if x.sum() > 0`) can agree in one and not in the other.

    Returns:
        The frozen policy's actions `[T, N, ...]`.

    Raises:
        Failed: They act differently beyond rounding and ties.
    """
    actions = _compare(traced, policy, inputs, judge)
    for i in range(_SINGLES):
        alone = [_slice(batch, i) for batch in inputs.observations]
        masks = None if inputs.masks is None else [mask[i : i + 1] for mask in inputs.masks]
        _compare(traced, policy, Inputs(alone, masks), judge)
    return actions


def _slice(observations: Any, i: int) -> Any:
    if isinstance(observations, dict):
        return {key: _slice(part, i) for key, part in observations.items()}
    return observations[i : i + 1]


def _compare(
    traced: TracedPolicy, policy: FrozenPolicy, inputs: Inputs, judge: ties.Judge
) -> np.ndarray:
    expected = np.asarray(traced.predict(inputs.observations, inputs.masks))
    state: State = ()
    actions = []
    for t, observations in enumerate(inputs.observations):
        masks = None if inputs.masks is None else inputs.masks[t]
        before = state
        try:
            action, state = policy.act_batch(observations, before, masks)
        except Exception as error:
            raise _not_equal(f"it cannot act: {' '.join(str(error).split())[:200]}") from error
        actions.append(action)
        theirs = expected[t].astype(action.dtype)
        text = actions_differ(policy.action_space, action, theirs)
        if text and not judge.only_ties(action, theirs, observations, before, masks):
            raise _not_equal(f"{text}, at decision {t + 1} of a batch of {len(action)}")
    return np.stack(actions)


def _not_equal(what: str) -> Failed:
    return Failed(
        f"the frozen policy does not act as its source does: {what}",
        "equal actions on random observations",
        "Nothing was written. A custom policy must not branch on values in Python.",
    )

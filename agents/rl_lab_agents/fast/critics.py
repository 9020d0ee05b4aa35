"""Several critics side by side as compiled functions: what SAC and TD3 share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rl_lab_agents.fast import compiled
from rl_lab_agents.fast.compiled import LINEAR
from rl_lab_agents.fast.jitting import jit

_ZERO, _ONE = np.float32(0), np.float32(1)


class Critics(NamedTuple):
    """Critics and their targets.

    Attributes:
        params: Flat parameters.
        grads: Their gradients.
        moments: `[2, parameters]`, the optimiser's.
        target: The target critics' parameters, same layout.
        tables: `[critics, layers, 4]`.
        kind: Activation.
    """

    params: Any
    grads: Any
    moments: Any
    target: Any
    tables: Any
    kind: int


class Batches(NamedTuple):
    """Minibatches of transitions.

    Attributes:
        x: Observations `[steps, rows, numbers]`.
        actions: `[steps, rows, actions]`.
        following: The next observations.
        rewards: `[steps, rows]`.
        ends: `[steps, rows]`, 1 where an episode terminated.
    """

    x: Any
    actions: Any
    following: Any
    rewards: Any
    ends: Any


class Room(NamedTuple):
    """Workspaces, made once.

    Attributes:
        joint: `[rows, numbers + actions]`.
        critics: `[critics, numbers]`, what each critic's layers give.
        picked: A critic's outputs for some of the rows.
        delta: Gradients of any network's layers.
        actor: What the actor's layers give.
        goal: `[rows]`, what values are drawn to.
        best: `[rows]`, lowest values.
        slopes: `[rows, actions]`, of the lowest values with respect to the actions.
        drawn: `[rows, actions]`, the actor's actions.
        log_probs: `[rows]`, of these.
        narrow: `[4, rows * actions]`, what the actor's heads give, and its gradients.
    """

    joint: Any
    critics: Any
    picked: Any
    delta: Any
    actor: Any
    goal: Any
    best: Any
    slopes: Any
    drawn: Any
    log_probs: Any
    narrow: Any


def room(rows: int, numbers: int, columns: int, critics: Any, *actor: Any) -> Room:
    """Workspaces for minibatches of `rows`, with the tables of the critics and of the actor."""
    critic_width = int(critics[0][:, 1].sum())
    actor_width = sum(int(table[:, 1].sum()) for table in actor)

    def empty(*shape: int) -> np.ndarray:
        return np.empty(shape, np.float32)

    return Room(
        joint=empty(rows, numbers + columns),
        critics=empty(len(critics), rows * critic_width),
        picked=empty(rows * critic_width),
        delta=empty(rows * max(critic_width, actor_width)),
        actor=empty(rows * actor_width),
        goal=empty(rows),
        best=empty(rows),
        slopes=empty(rows, columns),
        drawn=empty(rows, columns),
        log_probs=empty(rows),
        narrow=empty(4, rows * columns),
    )


@jit
def join(x: Any, actions: Any, out: Any) -> None:
    """Observations and actions side by side."""
    numbers = x.shape[1]
    for r in range(x.shape[0]):
        for c in range(numbers):
            out[r, c] = x[r, c]
        for c in range(actions.shape[1]):
            out[r, numbers + c] = actions[r, c]


@jit
def lowest_target(critics: Any, space: Any) -> None:
    """The lowest value any target critic gives each row of `space.joint`, into `space.goal`."""
    rows = space.joint.shape[0]
    for k in range(critics.tables.shape[0]):
        table = critics.tables[k]
        compiled.forward(critics.target, table, critics.kind, LINEAR, space.joint, space.critics[k])
        values = compiled.output(table, space.critics[k], rows)
        for r in range(rows):
            space.goal[r] = values[r, 0] if k == 0 else min(space.goal[r], values[r, 0])


@jit
def gradient(critics: Any, weight: float, space: Any) -> float:
    """Squared error of all critics and its gradient.

    Args:
        critics: The critics; `grads` receives.
        weight: Of each critic's mean squared error.
        space: Workspaces; `joint` and `goal` are the data.

    Returns:
        The loss: the weighted sum over critics.
    """
    rows = space.joint.shape[0]
    share, loss = np.float32(weight) / np.float32(rows), _ZERO
    for k in range(critics.tables.shape[0]):
        table, work = critics.tables[k], space.critics[k]
        compiled.forward(critics.params, table, critics.kind, LINEAR, space.joint, work)
        values = compiled.output(table, work, rows)
        out = compiled.output(table, space.delta, rows)
        for r in range(rows):
            error = values[r, 0] - space.goal[r]
            loss += error * error
            out[r, 0] = (error + error) * share
        compiled.backward(
            critics.params, critics.grads, table, critics.kind, space.joint, work, space.delta,
            True,
        )  # fmt: skip
    return loss * share


@jit
def _pick(layers: Any, work: Any, rows: int, chosen: Any, out: Any) -> None:
    """Of a workspace for `rows` rows, the chosen ones, as a workspace of that many rows."""
    count = chosen.shape[0]
    source, sink = 0, 0
    for k in range(layers.shape[0]):
        columns = layers[k, 1]
        whole = compiled.matrix(work, source, rows, columns)
        part = compiled.matrix(out, sink, count, columns)
        for r in range(count):
            i = chosen[r]
            for c in range(columns):
                part[r, c] = whole[i, c]
        source += rows * columns
        sink += count * columns


@jit
def action_gradient(critics: Any, first_only: bool, space: Any) -> None:
    """Gradient of the mean lowest value with respect to the actions, into `space.slopes`.

    Each row is carried back through the one critic that is lowest there: with two critics half of
    the work.

    Args:
        critics: The critics.
        first_only: Whether the first critic alone counts (TD3).
        space: Workspaces; `joint` is the data, `best` receives the values.
    """
    rows, columns = space.joint.shape
    numbers = columns - space.slopes.shape[1]
    count_of = 1 if first_only else critics.tables.shape[0]
    which = np.zeros(rows, np.int64)
    for k in range(count_of):
        work = space.critics[k]
        compiled.forward(critics.params, critics.tables[k], critics.kind, LINEAR, space.joint, work)
        values = compiled.output(critics.tables[k], work, rows)
        for r in range(rows):
            if k == 0 or values[r, 0] < space.best[r]:
                space.best[r], which[r] = values[r, 0], k
    empty = np.empty(0, np.float32)
    slope = np.empty((rows, columns), np.float32)
    for k in range(count_of):
        chosen = np.flatnonzero(which == k)
        count = chosen.shape[0]
        if count == 0:
            continue
        table = critics.tables[k]
        _pick(table, space.critics[k], rows, chosen, space.picked)
        compiled.output(table, space.delta, count)[:, :] = _ONE / np.float32(rows)
        some = slope[:count]
        compiled.backward(
            critics.params, empty, table, critics.kind, some, space.picked, space.delta, False
        )
        compiled.input_gradient(critics.params, table, space.delta, count, some)
        for r in range(count):
            for c in range(space.slopes.shape[1]):
                space.slopes[chosen[r], c] = some[r, numbers + c]

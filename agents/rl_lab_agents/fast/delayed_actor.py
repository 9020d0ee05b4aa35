"""Acting and updates of TD3 as compiled functions; the mathematics of stable-baselines3's.

The actor is one network with a tanh at its end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rl_lab_agents.fast import compiled, critics, optimizers
from rl_lab_agents.fast.compiled import TANH
from rl_lab_agents.fast.jitting import jit

ACTOR_LOSS, CRITIC_LOSS = range(2)
STATISTICS = 2
_ONE = np.float32(1)


class Actor(NamedTuple):
    """The actor and its target.

    Attributes:
        params: Flat parameters.
        grads: Their gradients.
        moments: `[2, parameters]`, the optimiser's.
        target: The target actor's parameters, same layout.
        table: The network's.
        kind: Activation of the hidden layers.
    """

    params: Any
    grads: Any
    moments: Any
    target: Any
    table: Any
    kind: int


class Settings(NamedTuple):
    """Numbers of an update.

    Attributes:
        gamma: Discount.
        tau: How far the targets move.
        delay: Critic steps per actor step.
        done: Gradient steps before this update.
        lr: Learning rate.
        constants: `[2, 3]`, Adam's two betas and epsilon for actor and critics.
        steps: `[2]`, steps that these optimisers have done.
    """

    gamma: float
    tau: float
    delay: int
    done: int
    lr: float
    constants: Any
    steps: Any


@jit
def act(params: Any, actor: Any, x: Any, work: Any, out: Any) -> None:
    """Actions `[rows, actions]` from -1 to 1, with the actor's or its target's parameters."""
    compiled.forward(params, actor.table, actor.kind, TANH, x, work)
    found = compiled.output(actor.table, work, x.shape[0])
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            out[r, c] = found[r, c]


@jit
def aims(
    actor: Any, both: Any, following: Any, rewards: Any, ends: Any, noise: Any, gamma: float,
    space: Any,
) -> None:  # fmt: skip
    """What the critics' values are drawn to, into `space.goal`.

    Args:
        actor: The actor.
        both: The critics.
        following: The next observations `[rows, numbers]`.
        rewards: `[rows]`.
        ends: `[rows]`, 1 where the episode terminated.
        noise: `[rows, actions]`, added to the target's actions; clipped already.
        gamma: Discount.
        space: Workspaces.
    """
    act(actor.target, actor, following, space.actor, space.drawn)
    rows, columns = space.drawn.shape
    for r in range(rows):
        for c in range(columns):
            space.drawn[r, c] = min(max(space.drawn[r, c] + noise[r, c], -_ONE), _ONE)
    critics.join(following, space.drawn, space.joint)
    critics.lowest_target(both, space)
    discount = np.float32(gamma)
    for r in range(rows):
        space.goal[r] = rewards[r] + (_ONE - ends[r]) * discount * space.goal[r]


@jit
def actor_gradient(actor: Any, both: Any, x: Any, space: Any) -> float:
    """The actor's loss, minus the first critic's mean value, and its gradient."""
    act(actor.params, actor, x, space.actor, space.drawn)
    critics.join(x, space.drawn, space.joint)
    critics.action_gradient(both, True, space)
    rows = x.shape[0]
    out = compiled.output(actor.table, space.delta, rows)
    for r in range(rows):
        for c in range(out.shape[1]):
            out[r, c] = -space.slopes[r, c]
    compiled.through_activation(out, space.drawn, TANH)
    compiled.backward(
        actor.params, actor.grads, actor.table, actor.kind, x, space.actor, space.delta, True
    )
    return -np.mean(space.best)


@jit
def update(
    actor: Any, both: Any, batches: Any, noise: Any, settings: Any, space: Any, stats: Any
) -> int:
    """Gradient steps on all minibatches.

    Args:
        actor: The actor.
        both: The critics.
        batches: The data.
        noise: `[steps, rows, actions]`, for the target's actions; clipped already.
        settings: Numbers.
        space: Workspaces.
        stats: Receives mean losses; the actor's NaN where it had no turn.

    Returns:
        Steps of the actor.
    """
    stats[:] = 0.0
    turns, count = 0, batches.x.shape[0]
    for k in range(count):
        aims(
            actor, both, batches.following[k], batches.rewards[k], batches.ends[k], noise[k],
            settings.gamma, space,
        )  # fmt: skip
        critics.join(batches.x[k], batches.actions[k], space.joint)
        stats[CRITIC_LOSS] += critics.gradient(both, 1.0, space) / count
        c = settings.constants[1]
        optimizers.adam(
            both.params, both.grads, both.moments, _ONE, settings.lr, c[0], c[1], c[2],
            settings.steps[1] + k + 1,
        )  # fmt: skip
        if (settings.done + k + 1) % settings.delay == 0:
            turns += 1
            stats[ACTOR_LOSS] += actor_gradient(actor, both, batches.x[k], space)
            c = settings.constants[0]
            optimizers.adam(
                actor.params, actor.grads, actor.moments, _ONE, settings.lr, c[0], c[1], c[2],
                settings.steps[0] + turns,
            )  # fmt: skip
            optimizers.polyak(both.params, both.target, settings.tau)
            optimizers.polyak(actor.params, actor.target, settings.tau)
    stats[ACTOR_LOSS] = stats[ACTOR_LOSS] / turns if turns > 0 else np.nan
    return turns

"""Acting and updates of SAC as compiled functions; the mathematics of stable-baselines3's.

The actor is a body whose every layer has the activation, and two linear heads on it: means and
log-deviations, which are kept within -20 and 2. An action is the tanh of a Gaussian.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from rl_lab_agents.fast import compiled, critics, optimizers
from rl_lab_agents.fast.compiled import LINEAR
from rl_lab_agents.fast.jitting import jit

ACTOR_LOSS, CRITIC_LOSS, WEIGHT_LOSS, WEIGHT = range(4)
STATISTICS = 4
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
_LOWEST, _HIGHEST = np.float32(-20), np.float32(2)
_HALF_LOG_2PI = np.float32(0.5 * math.log(2 * math.pi))
_EPSILON = np.float32(1e-6)


class Actor(NamedTuple):
    """The actor.

    Attributes:
        params: Flat parameters.
        grads: Their gradients.
        moments: `[2, parameters]`, the optimiser's.
        body: Table of the body.
        mean: Table of the head for means.
        deviation: Table of the head for log-deviations.
        kind: Activation.
    """

    params: Any
    grads: Any
    moments: Any
    body: Any
    mean: Any
    deviation: Any
    kind: int


class Weight(NamedTuple):
    """The entropy's weight, alpha.

    Attributes:
        logarithm: `[1]`, of alpha where it is learned.
        moments: `[2, 1]`, the optimiser's.
        fixed: Alpha where it is not learned; NaN where it is.
        target: The entropy that it aims at, negated as the library has it.
    """

    logarithm: Any
    moments: Any
    fixed: float
    target: float


class Settings(NamedTuple):
    """Numbers of an update.

    Attributes:
        gamma: Discount.
        tau: How far the target critics move.
        interval: Gradient steps between their moves.
        lr: Learning rate.
        constants: `[3, 3]`, Adam's two betas and epsilon for actor, critics and alpha.
        steps: `[3]`, steps that these three optimisers have done.
    """

    gamma: float
    tau: float
    interval: int
    lr: float
    constants: Any
    steps: Any


@jit
def act(
    actor: Any, x: Any, noise: Any, work: Any, heads: Any, actions: Any, log_probs: Any
) -> None:
    """Draw actions.

    Args:
        actor: The actor.
        x: Observations `[rows, numbers]`.
        noise: Normal, `[rows, actions]`.
        work: Workspace; keeps the body's outputs.
        heads: `[2, rows * actions]`; keeps means, and log-deviations before their limits.
        actions: Receives `[rows, actions]`, from -1 to 1.
        log_probs: Receives `[rows]`.
    """
    rows, columns = actions.shape
    compiled.forward(actor.params, actor.body, actor.kind, actor.kind, x, work)
    latent = compiled.output(actor.body, work, rows)
    compiled.forward(actor.params, actor.mean, LINEAR, LINEAR, latent, heads[0])
    compiled.forward(actor.params, actor.deviation, LINEAR, LINEAR, latent, heads[1])
    for r in range(rows):
        total = _ZERO
        for c in range(columns):
            at = r * columns + c
            log_std = min(max(heads[1, at], _LOWEST), _HIGHEST)
            spread = np.float32(math.exp(log_std)) * noise[r, c]
            action = np.float32(math.tanh(heads[0, at] + spread))
            total -= _HALF * noise[r, c] * noise[r, c] + log_std + _HALF_LOG_2PI
            total -= np.float32(math.log(_ONE - action * action + _EPSILON))
            actions[r, c] = action
        log_probs[r] = total


@jit
def actor_gradient(actor: Any, x: Any, noise: Any, alpha: float, space: Any) -> None:
    """Gradient of the actor's loss, after `act` on `x` and `critics.action_gradient`.

    Args:
        actor: The actor; `grads` receives.
        x: Observations `[rows, numbers]`.
        noise: What the actions were drawn with.
        alpha: The entropy's weight.
        space: Workspaces as these two functions left them.
    """
    rows, columns = space.drawn.shape
    share = np.float32(alpha) / np.float32(rows)
    d_means, d_stds = space.narrow[2], space.narrow[3]
    for r in range(rows):
        for c in range(columns):
            at = r * columns + c
            action = space.drawn[r, c]
            free = _ONE - action * action
            slope = share * _TWO * action * free / (free + _EPSILON) - space.slopes[r, c] * free
            d_means[at] = slope
            log_std = space.narrow[1, at]
            d_stds[at] = _ZERO
            if _LOWEST <= log_std <= _HIGHEST:
                d_stds[at] = slope * np.float32(math.exp(log_std)) * noise[r, c] - share
    latent = compiled.output(actor.body, space.actor, rows)
    compiled.backward(
        actor.params, actor.grads, actor.mean, LINEAR, latent, space.actor, d_means, True
    )
    compiled.backward(
        actor.params, actor.grads, actor.deviation, LINEAR, latent, space.actor, d_stds, True
    )
    down = compiled.output(actor.body, space.delta, rows)
    more = np.empty(down.shape, np.float32)
    compiled.input_gradient(actor.params, actor.mean, d_means, rows, down)
    compiled.input_gradient(actor.params, actor.deviation, d_stds, rows, more)
    down += more
    compiled.through_activation(down, latent, actor.kind)
    compiled.backward(
        actor.params, actor.grads, actor.body, actor.kind, x, space.actor, space.delta, True
    )


@jit
def aims(
    actor: Any, both: Any, following: Any, rewards: Any, ends: Any, noise: Any, gamma: float,
    alpha: float, space: Any,
) -> None:  # fmt: skip
    """What the critics' values are drawn to, into `space.goal`; leaves `space.drawn` alone.

    Args:
        actor: The actor.
        both: The critics.
        following: The next observations `[rows, numbers]`.
        rewards: `[rows]`.
        ends: `[rows]`, 1 where the episode terminated.
        noise: Normal, `[rows, actions]`.
        gamma: Discount.
        alpha: The entropy's weight.
        space: Workspaces.
    """
    actions, log_probs = np.empty(noise.shape, np.float32), np.empty(len(noise), np.float32)
    act(actor, following, noise, space.delta, space.narrow[2:], actions, log_probs)
    critics.join(following, actions, space.joint)
    critics.lowest_target(both, space)
    discount, weight = np.float32(gamma), np.float32(alpha)
    for r in range(len(noise)):
        worth = space.goal[r] - weight * log_probs[r]
        space.goal[r] = rewards[r] + (_ONE - ends[r]) * discount * worth


@jit
def _weigh(weight: Any, log_probs: Any, settings: Any, k: int, stats: Any) -> float:
    """Alpha for this step; where it is learned it moves for the next one."""
    if not math.isnan(weight.fixed):
        return weight.fixed
    alpha = math.exp(weight.logarithm[0])
    mean = 0.0
    for r in range(log_probs.shape[0]):
        mean += log_probs[r]
    mean = mean / log_probs.shape[0] + weight.target
    stats[WEIGHT_LOSS] -= weight.logarithm[0] * mean
    slope = np.full(1, -np.float32(mean), np.float32)
    c = settings.constants[2]
    optimizers.adam(
        weight.logarithm, slope, weight.moments, _ONE, settings.lr, c[0], c[1], c[2],
        settings.steps[2] + k + 1,
    )  # fmt: skip
    return alpha


@jit
def update(
    actor: Any, both: Any, weight: Any, batches: Any, noise: Any, settings: Any, space: Any,
    stats: Any,
) -> None:  # fmt: skip
    """Gradient steps on all minibatches.

    Args:
        actor: The actor.
        both: The critics.
        weight: The entropy's weight.
        batches: The data.
        noise: Normal, `[steps, 2, rows, actions]`: for these actions, for the next.
        settings: Numbers.
        space: Workspaces.
        stats: Receives means over the steps.
    """
    stats[:] = 0.0
    for k in range(batches.x.shape[0]):
        x = batches.x[k]
        act(actor, x, noise[k, 0], space.actor, space.narrow, space.drawn, space.log_probs)
        alpha = _weigh(weight, space.log_probs, settings, k, stats)
        stats[WEIGHT] += alpha
        aims(
            actor, both, batches.following[k], batches.rewards[k], batches.ends[k], noise[k, 1],
            settings.gamma, alpha, space,
        )  # fmt: skip
        critics.join(x, batches.actions[k], space.joint)
        stats[CRITIC_LOSS] += critics.gradient(both, 0.5, space)
        c = settings.constants[1]
        optimizers.adam(
            both.params, both.grads, both.moments, _ONE, settings.lr, c[0], c[1], c[2],
            settings.steps[1] + k + 1,
        )  # fmt: skip
        critics.join(x, space.drawn, space.joint)
        critics.action_gradient(both, False, space)
        actor_gradient(actor, x, noise[k, 0], alpha, space)
        stats[ACTOR_LOSS] += actor_loss(alpha, space)
        c = settings.constants[0]
        optimizers.adam(
            actor.params, actor.grads, actor.moments, _ONE, settings.lr, c[0], c[1], c[2],
            settings.steps[0] + k + 1,
        )  # fmt: skip
        if k % settings.interval == 0:
            optimizers.polyak(both.params, both.target, settings.tau)
    stats /= batches.x.shape[0]


@jit
def actor_loss(alpha: float, space: Any) -> float:
    """The actor's loss, after `critics.action_gradient`."""
    total = 0.0
    for r in range(space.best.shape[0]):
        total += alpha * space.log_probs[r] - space.best[r]
    return total / space.best.shape[0]

"""Acting and updates of PPO and A2C as compiled functions; the mathematics of stable-baselines3's.

The statistics of an update are `[policy loss, value loss, entropy loss, approximate KL, clip
fraction, loss]`: of the last gradient step where it says so, else means over all of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rl_lab_agents.fast import compiled, heads, losses, optimizers
from rl_lab_agents.fast.compiled import LINEAR
from rl_lab_agents.fast.jitting import jit
from rl_lab_agents.fast.losses import CLIPPED, ENTROPY_LOSS, KL, LOSS, POLICY_LOSS, VALUE_LOSS

ADAM, RMSPROP = 0, 1
STATISTICS = 6
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)


@jit
def act(
    params: Any, actor: Any, critic: Any, kind: int, head: int, cuts: Any, log_std_at: int,
    observations: Any, rewards: Any, noise: Any, matrices: Any, t: int,
    actions: Any, log_probs: Any, values: Any, work: Any,
) -> Any:  # fmt: skip
    """One decision for all environments at step `t` of a rollout.

    Args:
        params: All parameters, flat.
        actor: Table of the policy's network.
        critic: Table of the value's network.
        kind: Activation.
        head: Distribution.
        cuts: See `heads`.
        log_std_at: See `heads`.
        observations: `[steps + 1, environments, numbers]`.
        rewards: `[steps, environments]`.
        noise: `[steps, environments, columns]`, see `heads.sample`.
        matrices: `[environments, features, actions]`, see `heads.sample`.
        t: The step.
        actions: `[steps, environments, columns]`; receives.
        log_probs: `[steps, environments]`; receives.
        values: `[steps, environments]`; receives.
        work: Workspace.

    Returns:
        Whether the observations, and the rewards of the step before, are finite.
    """
    x = observations[t]
    rows = x.shape[0]
    total = _ZERO
    for r in range(rows):
        for c in range(x.shape[1]):
            total += x[r, c] * _ZERO
        if t > 0:
            total += rewards[t - 1, r] * _ZERO
    compiled.forward(params, critic, kind, LINEAR, x, work)
    value = compiled.output(critic, work, rows)
    for r in range(rows):
        values[t, r] = value[r, 0]
    compiled.forward(params, actor, kind, LINEAR, x, work)
    scores = compiled.output(actor, work, rows)
    latent = _latent(actor, work, x)
    chances = np.empty(scores.shape, np.float32)
    heads.sample(
        head, cuts, params, log_std_at, scores, chances, latent, noise[t], matrices, actions[t]
    )
    variance = _variance(head, params, log_std_at, latent, actions[t])
    entropy = np.empty(rows, np.float32)
    heads.judge(
        head, cuts, params, log_std_at, scores, chances, variance, actions[t], log_probs[t], entropy
    )
    return math.isfinite(total)


@jit
def _latent(layers: Any, work: Any, x: Any) -> Any:
    return compiled.hidden(layers, work, x.shape[0]) if layers.shape[0] > 1 else x


@jit
def _variance(head: int, params: Any, log_std_at: int, latent: Any, actions: Any) -> Any:
    if head != heads.STATE_DEPENDENT:
        return np.empty((1, 1), np.float32)
    variance = np.empty(actions.shape, np.float32)
    features, columns = latent.shape[1], actions.shape[1]
    log_std = compiled.matrix(params, log_std_at, features, columns)
    heads.sde_variance(latent, log_std, variance)
    return variance


@jit
def value(params: Any, critic: Any, kind: int, x: Any, out: Any, work: Any) -> None:
    """Values `[rows]` of observations `[rows, numbers]`."""
    compiled.forward(params, critic, kind, LINEAR, x, work)
    found = compiled.output(critic, work, x.shape[0])
    for r in range(x.shape[0]):
        out[r] = found[r, 0]


@jit
def standardized(x: Any) -> None:
    """Subtract the mean and divide by the deviation (of a sample), in place."""
    mean = _ZERO
    for i in range(x.shape[0]):
        mean += x[i]
    mean = mean / np.float32(x.shape[0])
    square = _ZERO
    for i in range(x.shape[0]):
        square += (x[i] - mean) * (x[i] - mean)
    deviation = np.float32(math.sqrt(square / np.float32(x.shape[0] - 1)))
    scale = _ONE / (deviation + np.float32(1e-8))
    for i in range(x.shape[0]):
        x[i] = (x[i] - mean) * scale


@jit
def gradient(
    params: Any, grads: Any, actor: Any, critic: Any, kind: int, head: int, cuts: Any,
    log_std_at: int, x: Any, actions: Any, old_log_prob: Any, advantage: Any, returns: Any,
    old_values: Any, surrogate: bool, clip: float, clip_value: float, entropy_weight: float,
    value_weight: float, work: Any, value_work: Any, delta: Any, stats: Any,
) -> None:  # fmt: skip
    """Loss and gradient of one minibatch.

    Args:
        params: All parameters, flat.
        grads: Receives their gradients.
        actor: As for `act`, and so the next five.
        critic: See `act`.
        kind: See `act`.
        head: See `act`.
        cuts: See `act`.
        log_std_at: See `act`.
        x: Observations `[rows, numbers]`.
        actions: `[rows, columns]`.
        old_log_prob: `[rows]`, of these actions when they were taken.
        advantage: `[rows]`, normalised where that is wanted.
        returns: `[rows]`, what the values are drawn to.
        old_values: `[rows]`, values when the actions were taken.
        surrogate: Whether the policy's loss is PPO's clipped ratio, else the plain policy gradient.
        clip: PPO's range of the ratio.
        clip_value: The same for the value; NaN: no clipping.
        entropy_weight: Of the entropy loss.
        value_weight: Of the value loss.
        work: Workspace for the actor.
        value_work: Workspace for the critic.
        delta: Workspace for either's gradient.
        stats: Receives the minibatch's statistics.
    """
    rows = x.shape[0]
    share = _ONE / np.float32(rows)
    compiled.forward(params, actor, kind, LINEAR, x, work)
    scores = compiled.output(actor, work, rows)
    latent = _latent(actor, work, x)
    out = compiled.output(actor, delta, rows)
    if head == heads.CATEGORICAL:
        heads.log_softmax(scores, cuts, out)
    variance = _variance(head, params, log_std_at, latent, actions)
    log_prob, entropy = np.empty(rows, np.float32), np.empty(rows, np.float32)
    heads.judge(head, cuts, params, log_std_at, scores, out, variance, actions, log_prob, entropy)
    d_log_prob = np.empty(rows, np.float32)
    losses.policy(log_prob, old_log_prob, advantage, surrogate, clip, d_log_prob, stats)
    stats[ENTROPY_LOSS] = -entropy.sum() * share
    heads.differentiate(
        head, cuts, params, grads, log_std_at, scores, latent, variance, actions, d_log_prob,
        -np.float32(entropy_weight) * share, out,
    )  # fmt: skip
    compiled.backward(params, grads, actor, kind, x, work, delta, True)

    _value_gradient(
        params, grads, critic, kind, x, old_values, returns, clip_value, value_weight, value_work,
        delta, stats,
    )  # fmt: skip
    loss = stats[POLICY_LOSS] + entropy_weight * stats[ENTROPY_LOSS]
    stats[LOSS] = loss + value_weight * stats[VALUE_LOSS]


@jit
def _value_gradient(
    params: Any, grads: Any, critic: Any, kind: int, x: Any, old_values: Any, returns: Any,
    clip: float, weight: float, work: Any, delta: Any, stats: Any,
) -> None:  # fmt: skip
    compiled.forward(params, critic, kind, LINEAR, x, work)
    values = compiled.output(critic, work, x.shape[0])
    d_values = compiled.output(critic, delta, x.shape[0])
    losses.value(values, old_values, returns, clip, weight, d_values, stats)
    compiled.backward(params, grads, critic, kind, x, work, delta, True)


@jit
def update(
    params: Any, grads: Any, moments: Any, actor: Any, critic: Any, kind: int, head: int,
    cuts: Any, log_std_at: int, observations: Any, actions: Any, old_log_probs: Any,
    advantage: Any, returns: Any, old_values: Any, orders: Any, size: int, normalize: bool,
    surrogate: bool, clip: float, clip_value: float, entropy_weight: float,
    value_weight: float, max_norm: float, target_kl: float, optimizer: int, lr: float,
    first: float, second: float, eps: float,
    step: int, stats: Any,
) -> Any:  # fmt: skip
    """A whole update: every epoch, every minibatch, every optimiser step.

    Args beyond those of `gradient`:
        moments: `[2, parameters]`, the optimiser's.
        observations: `[transitions, numbers]`, and so all data.
        orders: `[epochs, transitions]`, the order of transitions in every epoch.
        size: Transitions per minibatch; the last of an epoch may be smaller.
        normalize: Whether advantages are standardised within a minibatch.
        max_norm: Gradients are scaled down to this norm.
        target_kl: The update stops at 1.5 times this divergence; below 0: never.
        optimizer: ADAM or RMSPROP.
        lr: Learning rate.
        first: Adam's first beta, or RMSprop's alpha.
        second: Adam's second beta.
        eps: The optimiser's.
        step: Steps the optimiser has done before.
        stats: Receives the update's statistics; KL is of the last epoch, loss of the last step.

    Returns:
        Steps of the optimiser, epochs begun.
    """
    transitions, numbers = observations.shape
    columns = actions.shape[1]
    widest = max(compiled.width(actor), compiled.width(critic)) * size
    work, value_work, delta = (
        np.empty(widest, np.float32), np.empty(widest, np.float32), np.empty(widest, np.float32)
    )  # fmt: skip
    x_all, a_all = np.empty(size * numbers, np.float32), np.empty(size * columns, np.float32)
    scalars = np.empty((4, size), np.float32)
    now, sums = np.zeros(6), np.zeros(6)
    judged, steps, epoch = 0, 0, 0
    stop = False
    while epoch < orders.shape[0] and not stop:
        order = orders[epoch]
        epoch += 1
        sums[KL], in_epoch = 0.0, 0
        for begin in range(0, transitions, size):
            rows = min(size, transitions - begin)
            x = compiled.matrix(x_all, 0, rows, numbers)
            a = compiled.matrix(a_all, 0, rows, columns)
            for r in range(rows):
                i = order[begin + r]
                x[r], a[r] = observations[i], actions[i]
                scalars[0, r], scalars[1, r] = old_log_probs[i], advantage[i]
                scalars[2, r], scalars[3, r] = returns[i], old_values[i]
            if normalize and rows > 1:
                standardized(scalars[1, :rows])
            gradient(
                params, grads, actor, critic, kind, head, cuts, log_std_at, x, a,
                scalars[0, :rows], scalars[1, :rows], scalars[2, :rows], scalars[3, :rows],
                surrogate, clip, clip_value, entropy_weight, value_weight, work, value_work,
                delta, now,
            )  # fmt: skip
            sums += now
            judged += 1
            in_epoch += 1
            if target_kl >= 0 and now[KL] > 1.5 * target_kl:
                stop = True
                break
            scale, _ = optimizers.clip_factor(grads, max_norm)
            steps += 1
            if optimizer == ADAM:
                optimizers.adam(params, grads, moments, scale, lr, first, second, eps, step + steps)
            else:
                optimizers.rmsprop(params, grads, moments, scale, lr, first, eps)
        stats[KL] = sums[KL] / in_epoch
    for k in (POLICY_LOSS, VALUE_LOSS, ENTROPY_LOSS, CLIPPED):
        stats[k] = sums[k] / judged
    stats[LOSS] = now[LOSS]
    return steps, epoch

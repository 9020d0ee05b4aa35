"""Action distributions of actor-critic policies as compiled functions: act, judge, differentiate.

Three kinds: categorical (one or several choices side by side), Gaussian with one deviation per
action, and Gaussian with state-dependent exploration (gSDE, https://arxiv.org/abs/2005.05719).
Actions are float32 `[rows, columns]` throughout; a choice is its number.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rl_lab_agents.fast.jitting import jit

CATEGORICAL, GAUSSIAN, STATE_DEPENDENT = 0, 1, 2
_HALF_LOG_2PI = np.float32(0.5 * math.log(2 * math.pi))
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
_SDE_EPSILON = np.float32(1e-6)


@jit
def log_softmax(scores: Any, cuts: Any, chances: Any) -> None:
    """Normalise every choice's scores in place; choice s has the columns `cuts[s]:cuts[s+1]`.

    `chances` receives the probabilities: taking the exponential once a number is enough.
    """
    for r in range(scores.shape[0]):
        for s in range(cuts.shape[0] - 1):
            first, end = cuts[s], cuts[s + 1]
            largest = scores[r, first]
            for c in range(first + 1, end):
                largest = max(largest, scores[r, c])
            total = _ZERO
            for c in range(first, end):
                chances[r, c] = math.exp(scores[r, c] - largest)
                total += chances[r, c]
            shift, share = np.float32(largest + math.log(total)), _ONE / total
            for c in range(first, end):
                scores[r, c] -= shift
                chances[r, c] *= share


@jit
def sde_variance(latent: Any, log_std: Any, out: Any) -> None:
    """Variance `[rows, actions]` of gSDE: squared features times squared deviations."""
    out[:, :] = _SDE_EPSILON
    features, columns = log_std.shape
    for h in range(features):
        for c in range(columns):
            spread = np.float32(math.exp(_TWO * log_std[h, c]))
            for r in range(out.shape[0]):
                out[r, c] += latent[r, h] * latent[r, h] * spread


@jit
def sample(
    kind: int, cuts: Any, params: Any, log_std_at: int, scores: Any, chances: Any, latent: Any,
    noise: Any, matrices: Any, actions: Any,
) -> None:  # fmt: skip
    """Draw actions; afterwards `scores` of choices are log-probabilities.

    Args:
        kind: Which distribution.
        cuts: Where each choice's columns begin and end.
        params: All parameters; the log-deviations start at `log_std_at`.
        log_std_at: Their offset.
        scores: `[rows, columns]`, the network's output.
        chances: The same shape; receives the probabilities of choices.
        latent: `[rows, features]`, what the last layer got.
        noise: `[rows, columns]`, uniform for choices, normal else; unused by gSDE.
        matrices: `[rows, features, actions]`, gSDE's exploration; unused else.
        actions: Receives the actions.
    """
    rows, columns = actions.shape
    if kind == CATEGORICAL:
        log_softmax(scores, cuts, chances)
        for r in range(rows):
            for s in range(columns):
                chosen, end = cuts[s], cuts[s + 1] - 1
                left = noise[r, s] - chances[r, chosen]
                while left >= _ZERO and chosen < end:
                    chosen += 1
                    left -= chances[r, chosen]
                actions[r, s] = np.float32(chosen - cuts[s])
    elif kind == GAUSSIAN:
        for r in range(rows):
            for c in range(columns):
                deviation = np.float32(math.exp(params[log_std_at + c]))
                actions[r, c] = scores[r, c] + deviation * noise[r, c]
    else:
        _explore(scores, latent, matrices, actions)


@jit
def _explore(scores: Any, latent: Any, matrices: Any, actions: Any) -> None:
    """Means plus noise that is linear in the features."""
    for r in range(actions.shape[0]):
        for c in range(actions.shape[1]):
            total = scores[r, c]
            for h in range(latent.shape[1]):
                total += latent[r, h] * matrices[r, h, c]
            actions[r, c] = total


@jit
def judge(
    kind: int, cuts: Any, params: Any, log_std_at: int, scores: Any, chances: Any, variance: Any,
    actions: Any, log_prob: Any, entropy: Any,
) -> None:  # fmt: skip
    """Log-probability and entropy per row; `scores` and `chances` of choices are normalised.

    `variance` is `[rows, columns]` for gSDE and unused else.
    """
    rows, columns = actions.shape
    for r in range(rows):
        log_prob[r] = _ZERO
        entropy[r] = _ZERO
        for c in range(columns):
            if kind == CATEGORICAL:
                log_prob[r] += scores[r, cuts[c] + int(actions[r, c])]
                for k in range(cuts[c], cuts[c + 1]):
                    entropy[r] -= chances[r, k] * scores[r, k]
            else:
                log_std = params[log_std_at + c]
                if kind == STATE_DEPENDENT:
                    log_std = _HALF * np.float32(math.log(variance[r, c]))
                away = (actions[r, c] - scores[r, c]) * np.float32(math.exp(-log_std))
                log_prob[r] -= _HALF * away * away + log_std + _HALF_LOG_2PI
                entropy[r] += log_std + _HALF + _HALF_LOG_2PI


@jit
def differentiate(
    kind: int, cuts: Any, params: Any, grads: Any, log_std_at: int, scores: Any, latent: Any,
    variance: Any, actions: Any, d_log_prob: Any, d_entropy: Any, out: Any,
) -> None:  # fmt: skip
    """Gradient with respect to the network's output, and of the deviations into `grads`.

    Args:
        kind: Which distribution; it and the next four as for `judge`.
        cuts: See above.
        params: See above.
        grads: Gradients, same layout as `params`; the deviations' are overwritten.
        log_std_at: See above.
        scores: See `judge`.
        latent: `[rows, features]`; gSDE's variance does not reach back through them.
        variance: See `judge`.
        actions: The actions judged.
        d_log_prob: `[rows]`, of the loss.
        d_entropy: Of the loss with respect to every row's entropy.
        out: `[rows, columns]`: the probabilities of choices, replaced by the gradient.
    """
    rows, columns = actions.shape
    if kind == CATEGORICAL:
        for r in range(rows):
            for s in range(columns):
                entropy = _ZERO
                for c in range(cuts[s], cuts[s + 1]):
                    entropy -= out[r, c] * scores[r, c]
                for c in range(cuts[s], cuts[s + 1]):
                    out[r, c] *= -(d_log_prob[r] + d_entropy * (scores[r, c] + entropy))
                out[r, cuts[s] + int(actions[r, s])] += d_log_prob[r]
    elif kind == GAUSSIAN:
        for c in range(columns):
            grads[log_std_at + c] = d_entropy * np.float32(rows)
            inverse = np.float32(math.exp(-params[log_std_at + c]))
            for r in range(rows):
                away = (actions[r, c] - scores[r, c]) * inverse
                out[r, c] = d_log_prob[r] * away * inverse
                grads[log_std_at + c] += d_log_prob[r] * (away * away - _ONE)
    else:
        _differentiate_sde(
            params, grads, log_std_at, scores, latent, variance, actions, d_log_prob, d_entropy, out
        )


@jit
def _differentiate_sde(
    params: Any, grads: Any, log_std_at: int, scores: Any, latent: Any, variance: Any,
    actions: Any, d_log_prob: Any, d_entropy: Any, out: Any,
) -> None:  # fmt: skip
    rows, columns = actions.shape
    features = latent.shape[1]
    d_variance = np.empty((rows, columns), np.float32)
    for r in range(rows):
        for c in range(columns):
            away = (actions[r, c] - scores[r, c]) / variance[r, c]
            out[r, c] = d_log_prob[r] * away
            slope = _HALF * (away * away - _ONE / variance[r, c])
            d_variance[r, c] = d_log_prob[r] * slope + d_entropy * _HALF / variance[r, c]
    for h in range(features):
        for c in range(columns):
            at = log_std_at + h * columns + c
            total = _ZERO
            for r in range(rows):
                total += d_variance[r, c] * latent[r, h] * latent[r, h]
            grads[at] = _TWO * np.float32(math.exp(_TWO * params[at])) * total

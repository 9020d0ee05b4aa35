"""A reference from episodes of the frozen policy in its own world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rl_lab import episodes
from rl_lab.drift import vectors
from rl_lab.drift.reference import Reference, Settings
from rl_lab.drift.tracking import Tracker
from rl_lab.drift.vectors import Vectors
from rl_lab.frozen_policy import FrozenPolicy
from rl_lab.statistics import drift, dynamics
from rl_lab.statistics.resampling import FloatArray

# A larger linear model takes longer per step than the policy that it watches.
_MOST_FEATURES = 2048


def gather(
    policy: FrozenPolicy,
    make_env: Callable[[], Any],
    seeds: Sequence[int],
    settings: Settings,
) -> Reference | str:
    """Let a policy act in its own world and keep what that looks like.

    Args:
        policy: Who acts.
        make_env: Makes one environment of the policy's card.
        seeds: One per episode, fitting ones first.
        settings: How many episodes of each kind, how long, and the alarm's rate.

    Returns:
        The reference, or why there is none.
    """
    observations = vectors.of_observations(policy.card.observation_space)
    if isinstance(observations, str):
        return observations
    actions = vectors.of_actions(policy.card.action_space)
    env = make_env()
    try:
        limit = episodes.step_limit(env, settings.step_limit)
        played = (_play(env, policy, seed, limit, observations, actions) for seed in seeds)
        fitted = [next(played) for _ in range(settings.fit_episodes)]
        return _reference(policy, observations, actions, fitted, played, settings)
    finally:
        env.close()


Played = tuple[list[tuple[Any, Any]], FloatArray, FloatArray]


def _play(
    env: Any,
    policy: FrozenPolicy,
    seed: int,
    limit: int,
    observations: Vectors,
    actions: Vectors,
) -> Played:
    """One episode: what was seen and done, and both as vectors [t, s] and [t, a]."""
    pairs = [(o, a) for o, a, *_ in episodes.rollout(env, policy, seed, limit)]
    states = np.array([observations.of(o) for o, _ in pairs])
    return pairs, states, np.array([actions.of(a) for _, a in pairs])


def _reference(
    policy: FrozenPolicy,
    observations: Vectors,
    actions: Vectors,
    fitted: Sequence[Played],
    played: Any,
    settings: Settings,
) -> Reference:
    states = [s for _, s, _ in fitted]
    low_s, high_s = np.quantile(np.concatenate(states), drift.NOVELTY_TAILS, axis=0)
    model, reason = _model(observations, actions, fitted)
    tracker = Tracker(observations, actions, model, low_s, high_s, settings.kappa)
    highest, residuals, samples = [], [], []
    novel = steps = 0.0
    for _ in range(settings.calibration_episodes):
        pairs, _, _ = next(played)
        tracker.start()
        for observation, action in pairs:
            tracker.step(observation, action)
        highest.append(tracker.highest)
        residuals.append(tracker.residual)
        samples.append(tracker.samples)
        novel, steps = novel + tracker.novelty_rate * tracker.steps, steps + tracker.steps
    if model is not None and None in residuals:
        model, reason = None, "a calibration episode has one step only"
    threshold = drift.conformal_threshold(highest, settings.false_alarm_rate)
    return Reference(
        policy_sha256=policy.card.onnx_sha256,
        environment=str(policy.card.environment["id"]),
        fit_episodes=len(fitted),
        false_alarm_rate=settings.false_alarm_rate,
        kappa=settings.kappa,
        threshold=None if model is None else threshold,
        novelty_rate=novel / steps,
        categories=observations.categories,
        low_s=low_s,
        high_s=high_s,
        sd_s=dynamics.deviation(states),
        samples=tuple(samples),
        model=model,
        model_reason=reason,
        residuals=() if model is None else tuple(float(r or 0.0) for r in residuals),
    )


def _model(
    observations: Vectors, actions: Vectors, fitted: Sequence[Played]
) -> tuple[dynamics.DynamicsModel | None, str]:
    count = dynamics.feature_count(observations.size, actions.size)
    if count > _MOST_FEATURES:
        return None, f"a model of {count} features is more than {_MOST_FEATURES}"
    try:
        return dynamics.fit_dynamics([(s, a) for _, s, a in fitted]), ""
    except ValueError as error:
        return None, str(error)

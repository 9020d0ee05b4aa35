"""The monitor of a deployed policy: is the world still the one it was trained in?"""

from __future__ import annotations

import collections
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from rl_lab import seeding
from rl_lab.drift import storing, vectors
from rl_lab.drift.reference import Reference
from rl_lab.drift.tracking import Tracker
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import FrozenPolicy, load_policy
from rl_lab.statistics import drift, dynamics
from rl_lab.statistics.adaptation import Measured
from rl_lab.statistics.resampling import FloatArray

_EPISODES_KEPT = 200


@dataclasses.dataclass(frozen=True)
class EpisodeDrift:
    """What the monitor saw of one episode.

    Attributes:
        steps: Observations.
        alarm_step: Observations after which the alarm went up, from 1; None where it stayed down.
        highest: The highest cumulative sum.
        residual: Mean residual of the one-step model; None without a model or transition.
        novelty_rate: Share of steps outside of the usual range.
        samples: Thinned observations [t, s].
    """

    steps: int
    alarm_step: int | None
    highest: float
    residual: float | None
    novelty_rate: float
    samples: FloatArray


@dataclasses.dataclass(frozen=True)
class DriftReport:
    """What the monitor says of the episodes so far, beside what an unchanged world would give.

    Attributes:
        episodes: Episodes that have ended.
        alarms: Of them, with an alarm.
        false_alarm_rate: Alarms per episode that an unchanged world gives at most.
        obs_shift: Largest shift of a dimension's distribution, in deviations of the reference (of
            a discrete observation: total variation distance), with its p-value.
        novelty_rate: Share of steps outside of the usual range; before an episode has ended none.
        nominal_novelty_rate: The same in the reference.
        dynamics_shift: log10 of how much larger the model's residuals are, with its p-value.
    """

    episodes: int
    alarms: int
    false_alarm_rate: float
    obs_shift: drift.Tested
    novelty_rate: Measured
    nominal_novelty_rate: float
    dynamics_shift: drift.Tested


class DriftMonitor:
    """Watches a policy at work and says when its world is no longer the training one.

    Takes observations and actions as they come, some ten microseconds each, NumPy only:

        monitor = rl_lab.DriftMonitor("my_policy")
        while running:
            action, state = policy.act(observation, state)
            if monitor.update(observation, action):
                ...  # the world answers in another way than it did in training
            ...  # at an episode's end: monitor.end_episode()
        monitor.report()

    The alarm is for dynamics: a cumulative sum over the errors of a one-step model, which an
    unchanged world raises in at most `reference.false_alarm_rate` of the episodes. A change that
    leaves the answers of the world as they are (other places are visited) shows in `report`.

    Args:
        policy: A frozen policy, as loaded from disk, or its folder (a run folder is taken for its
            `policy/`). `reference.json` must lie beside it.

    Attributes:
        reference: The statistics that come with the policy.
        alarm: Whether the alarm has gone up in this episode.

    Raises:
        BadInput: The policy has no reference, or one of another policy.
    """

    def __init__(self, policy: FrozenPolicy | str | Path) -> None:
        loaded = policy if isinstance(policy, FrozenPolicy) else load_policy(policy)
        if loaded.folder is None:
            raise BadInput(
                "a frozen policy that was not loaded from a folder",
                "one with statistics of its own world beside it",
                "Save it with rl-lab freeze, then load it.",
            )
        card = loaded.card
        self.reference: Reference = storing.load(loaded.folder, card.onnx_sha256)
        self._tracker = tracker_of(self.reference, card.observation_space, card.action_space)
        threshold = self.reference.threshold
        self._threshold = float("inf") if threshold is None else threshold
        self._past: collections.deque[EpisodeDrift] = collections.deque(maxlen=_EPISODES_KEPT)
        self._ended = self._alarms = 0
        self._alarm_step: int | None = None
        self.alarm = False

    def update(self, observation: Any, action: Any) -> bool:
        """Take one observation and the action chosen for it.

        Returns:
            Whether the alarm is up: true from the step on at which it went up to the episode's end.

        Raises:
            BadInput: The observation has another shape than those that the policy was trained on.
        """
        try:
            cusum = self._tracker.step(observation, action)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise BadInput(
                f"an observation or action that does not fit the policy: {error}",
                "what the environment gives, and what the policy's act returned",
            ) from error
        if cusum > self._threshold and not self.alarm:
            self.alarm, self._alarm_step = True, self._tracker.steps
        return self.alarm

    def end_episode(self) -> EpisodeDrift | None:
        """Close the episode, also one that was broken off; None where it had no step.

        A stream without episodes can be cut anywhere, into pieces as long as training's episodes.
        """
        tracker = self._tracker
        ended = None
        if tracker.steps:
            ended = EpisodeDrift(
                steps=tracker.steps,
                alarm_step=self._alarm_step,
                highest=tracker.highest,
                residual=tracker.residual,
                novelty_rate=tracker.novelty_rate,
                samples=tracker.samples,
            )
            self._past.append(ended)
            self._ended += 1
            self._alarms += self.alarm
        tracker.start()
        self.alarm, self._alarm_step = False, None
        return ended

    def report(self) -> DriftReport:
        """Compare the episodes that have ended (the latest 200) with the reference."""
        return compare(self.reference, list(self._past), self._ended, self._alarms)


def tracker_of(reference: Reference, observation_space: Any, action_space: Any) -> Tracker:
    """What follows episodes against a reference.

    Raises:
        BadInput: The reference does not fit the spaces.
    """
    observations = vectors.of_observations(observation_space)
    actions = vectors.of_actions(action_space)
    model = reference.model
    if isinstance(observations, str):
        raise BadInput(observations, "observations with a reference")
    features = dynamics.feature_count(observations.size, actions.size)
    fits = len(reference.sd_s) == observations.size
    if not fits or (model is not None and len(model.weights) != features):
        raise BadInput("a reference for other spaces", "the policy's own", "Freeze the run again.")
    return Tracker(observations, actions, model, reference.low_s, reference.high_s, reference.kappa)


def compare(reference: Reference, past: list[EpisodeDrift], ended: int, alarms: int) -> DriftReport:
    """Test episodes against a reference; the same episodes always give the same p-values."""
    if not past:
        none = Measured(None, "no episode has ended")
        rates = (none, reference.novelty_rate)
        nothing = drift.Tested(none, None)
        return DriftReport(0, 0, reference.false_alarm_rate, nothing, *rates, nothing)
    generator = seeding.generator(0, "drift")
    steps = sum(e.steps for e in past)
    return DriftReport(
        episodes=ended,
        alarms=alarms,
        false_alarm_rate=reference.false_alarm_rate,
        obs_shift=_obs_shift(reference, past, generator),
        novelty_rate=Measured(sum(e.novelty_rate * e.steps for e in past) / steps),
        nominal_novelty_rate=reference.novelty_rate,
        dynamics_shift=_dynamics_shift(reference, past, generator),
    )


def _obs_shift(
    reference: Reference, past: list[EpisodeDrift], generator: np.random.Generator
) -> drift.Tested:
    current = [e.samples for e in past]
    if not all(np.isfinite(sample).all() for sample in current):
        return drift.Tested(Measured(None, "an observation is not finite"), None)
    if reference.categories:
        known, new = ([e.argmax(axis=1) for e in side] for side in (reference.samples, current))
        return drift.category_shift(known, new, generator)
    return drift.obs_shift(reference.samples, current, reference.sd_s, generator)


def _dynamics_shift(
    reference: Reference, past: list[EpisodeDrift], generator: np.random.Generator
) -> drift.Tested:
    if reference.model is None:
        return drift.Tested(Measured(None, reference.model_reason), None)
    current = [e.residual for e in past if e.residual is not None]
    if not current:
        return drift.Tested(Measured(None, "no episode has two steps"), None)
    return drift.dynamics_shift(reference.residuals, current, generator)

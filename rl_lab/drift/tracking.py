"""One episode as it goes on: residual, cumulative sum, novelty, and a thinned memory of it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from rl_lab.drift.vectors import Vectors
from rl_lab.statistics.dynamics import DynamicsModel
from rl_lab.statistics.resampling import FloatArray

# Observations kept of an episode; neighbours say almost the same.
KEPT = 32


class Tracker:
    """Follows episodes step by step; calibration and deployment run through the same lines.

    Args:
        observations: How observations become vectors.
        actions: How actions do.
        model: The one-step model; without one there is no cumulative sum.
        low_s: Lower end of each dimension's usual range.
        high_s: Upper end.
        kappa: Slack of the cumulative sum.

    Attributes:
        steps: Observations of this episode so far.
        cusum: The cumulative sum now.
        highest: The highest it has been in this episode.
    """

    def __init__(
        self,
        observations: Vectors,
        actions: Vectors,
        model: DynamicsModel | None,
        low_s: FloatArray,
        high_s: FloatArray,
        kappa: float,
    ) -> None:
        self._observe, self._act = observations.of, actions.of
        self._low, self._high, self._kappa = low_s, high_s, kappa
        self._model = model
        s, a = observations.size, actions.size
        # [1, s, a, s*a, s^2] as `statistics.dynamics.features` has it, filled in place.
        self._x = np.ones(1 + 2 * s + a + s * a)
        ends = np.cumsum([1, s, a, s * a, s])
        parts = [self._x[lo:hi] for lo, hi in itertools.pairwise(ends.tolist())]
        self._linear, self._chosen, products, self._squares = parts
        self._products = products.reshape(s, a)
        if model is not None:
            self._weights, self._sd = np.ascontiguousarray(model.weights.T), model.sd_s
            self._mean, self._per_sd = model.residual_mean, 1.0 / model.residual_sd
        self.start()

    def start(self) -> None:
        """Begin an episode."""
        self.steps = 0
        self.cusum = self.highest = 0.0
        self._residual_sum = 0.0
        self._novel = 0
        self._stride = 1
        self._samples: list[FloatArray] = []

    def step(self, observation: Any, action: Any) -> float:
        """Take an observation and the action chosen for it; returns the cumulative sum."""
        state = self._observe(observation)
        if self._model is not None:
            self._answer(state, action)
        # Written so that NaN counts as novel.
        if not ((state >= self._low).all() and (state <= self._high).all()):
            self._novel += 1
        if self.steps % self._stride == 0:
            self._keep(state)
        self.steps += 1
        return self.cusum

    def _answer(self, state: FloatArray, action: Any) -> None:
        if self.steps:
            error = (state - self._weights @ self._x) / self._sd
            residual = float(error.dot(error)) / error.size
            self._residual_sum += residual
            self.cusum += (residual - self._mean) * self._per_sd - self._kappa
            # Written so that NaN, from a broken sensor, counts as the loudest alarm.
            if not self.cusum < math.inf:
                self.cusum = math.inf
            elif self.cusum < 0.0:
                self.cusum = 0.0
            if self.cusum > self.highest:
                self.highest = self.cusum
        chosen = self._act(action)
        self._linear[:] = state
        self._chosen[:] = chosen
        np.multiply.outer(state, chosen, out=self._products)
        np.multiply(state, state, out=self._squares)

    def _keep(self, state: FloatArray) -> None:
        self._samples.append(state)
        if len(self._samples) > KEPT:
            # Evenly spaced whatever the episode's length turns out to be.
            self._samples = self._samples[::2]
            self._stride *= 2

    @property
    def residual(self) -> float | None:
        """Mean residual of the episode's transitions; None before the first."""
        return self._residual_sum / (self.steps - 1) if self._model and self.steps > 1 else None

    @property
    def novelty_rate(self) -> float:
        """Share of the episode's steps outside of the usual range."""
        return self._novel / self.steps

    @property
    def samples(self) -> FloatArray:
        """The thinned observations [t, s]."""
        return np.array(self._samples)

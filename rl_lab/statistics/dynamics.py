"""A linear one-step model of how the world answers, and how far off it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from rl_lab.statistics.resampling import FloatArray

# Relative to the mean square of a feature: enough for collinear ones, too little to bias.
_RIDGE = 1e-6
# A model that knows its data by heart finds all others strange.
_TRANSITIONS_PER_FEATURE = 10
# Of the observation's deviation: below it, an error is rounding.
_LEAST_SD = 1e-6


@dataclasses.dataclass(frozen=True)
class DynamicsModel:
    """A one-step model of how the world answers.

    Attributes:
        weights: [f, s], from features to the next observation.
        sd_s: The unit of each dimension's error: its own deviation in the fitting episodes [s].
            In units of the observation's deviation, the dimension that a linear model gets most
            wrong would drown what the others say.
        residual_mean: Of the residuals of the fitting episodes.
        residual_sd: Of the same.
    """

    weights: FloatArray
    sd_s: FloatArray
    residual_mean: float
    residual_sd: float


def features(states: FloatArray, actions: FloatArray) -> FloatArray:
    """[1, s, a, s*a, s^2] of states [t, s] and actions [t, a]; [t, 1 + 2s + a + sa]."""
    products = (states[:, :, None] * actions[:, None, :]).reshape(len(states), -1)
    return np.hstack([np.ones((len(states), 1)), states, actions, products, states**2])


def feature_count(states: int, actions: int) -> int:
    """Columns that `features` gives."""
    return 1 + 2 * states + actions + states * actions


def fit_dynamics(episodes: Sequence[tuple[FloatArray, FloatArray]]) -> DynamicsModel:
    """Ridge regression of the next observation on `features` of observation and action.

    Args:
        episodes: Observations [t, s] and the actions [t, a] chosen for them; in each, the last
            action's answer is not known.

    Raises:
        ValueError: Too few transitions for as many features.
    """
    pairs = [(states, actions) for states, actions in episodes if len(states) > 1]
    known = sum(len(states) - 1 for states, _ in pairs)
    count = feature_count(episodes[0][0].shape[1], episodes[0][1].shape[1])
    if known < _TRANSITIONS_PER_FEATURE * count:
        raise ValueError(
            f"{known} transitions are too few for a model of {count} features, "
            f"{_TRANSITIONS_PER_FEATURE} for each"
        )
    x = np.vstack([features(states[:-1], actions[:-1]) for states, actions in pairs])
    y = np.vstack([states[1:] for states, _ in pairs])
    # Features of very different size would make the penalty mean something else for each.
    unit_f = np.sqrt((x**2).mean(axis=0))
    unit_f[unit_f == 0.0] = 1.0
    z = x / unit_f
    gram = z.T @ z + _RIDGE * len(z) * np.eye(z.shape[1])
    weights = np.linalg.solve(gram, z.T @ y) / unit_f[:, None]
    least_s = _LEAST_SD * deviation([states for states, _ in episodes])
    model = DynamicsModel(weights, np.maximum((y - x @ weights).std(axis=0), least_s), 0.0, 1.0)
    found = np.concatenate([residuals(model, states, actions) for states, actions in pairs])
    return dataclasses.replace(
        model, residual_mean=float(found.mean()), residual_sd=max(float(found.std()), _LEAST_SD)
    )


def deviation(episodes: Sequence[FloatArray]) -> FloatArray:
    """Standard deviation of each dimension over all steps [s]; 1 where it does not vary."""
    rows = np.concatenate(list(episodes))
    sd_s = rows.std(axis=0)
    return np.where(sd_s > _LEAST_SD * np.maximum(1.0, np.abs(rows).max(axis=0)), sd_s, 1.0)


def residuals(model: DynamicsModel, states: FloatArray, actions: FloatArray) -> FloatArray:
    """mean_j ((s'_j - f_j(s, a)) / sd_j)^2 of every known transition; [t - 1]."""
    errors = states[1:] - features(states[:-1], actions[:-1]) @ model.weights
    return np.asarray(((errors / model.sd_s) ** 2).mean(axis=1))

"""What the tracker does step by step, as formulas over a whole episode."""

from __future__ import annotations

import numpy as np

from rl_lab.statistics.resampling import FloatArray


def cusum(standardized: FloatArray, kappa: float) -> FloatArray:
    """g_t = max(0, g_(t-1) + z_t - kappa) of standardised residuals [t] (Page 1954).

    Written as the walk's distance from its lowest point so far, which is the same number.
    """
    walk = np.concatenate([[0.0], np.cumsum(standardized - kappa)])
    return (walk - np.minimum.accumulate(walk))[1:]


def novelty_rate(observations: FloatArray, low_s: FloatArray, high_s: FloatArray) -> float:
    """Share of observations [t, s] with a dimension outside of the reference's range."""
    return float(((observations < low_s) | (observations > high_s)).any(axis=1).mean())

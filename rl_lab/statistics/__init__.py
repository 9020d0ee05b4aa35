"""Statistics over training seeds and shared evaluation seeds: measures, intervals, tests."""

from __future__ import annotations

from rl_lab.statistics.intervals import (
    Interval,
    crossed_bootstrap,
    delta_interval,
    delta_p_value,
    holm,
    reward_interval,
    t_interval,
    wilson,
)
from rl_lab.statistics.measures import (
    area_under,
    critical_shift,
    cvar,
    dispersion,
    iqm,
    optimality_gap,
    prob_improvement,
    profile,
    win_rate,
)

__all__ = [
    "Interval",
    "area_under",
    "critical_shift",
    "crossed_bootstrap",
    "cvar",
    "delta_interval",
    "delta_p_value",
    "dispersion",
    "holm",
    "iqm",
    "optimality_gap",
    "prob_improvement",
    "profile",
    "reward_interval",
    "t_interval",
    "wilson",
    "win_rate",
]

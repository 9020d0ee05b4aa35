"""A number of each training seed, as the blocks of `scores.json` state it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rl_lab.comparison import scoring, wording
from rl_lab.comparison.wording import interval_data
from rl_lab.statistics import intervals
from rl_lab.statistics.adaptation import Measured
from rl_lab.statistics.intervals import Interval
from rl_lab.statistics.seeds import Seed, over_seeds

ANY = (-np.inf, np.inf)


def stated(
    name: str, found: Sequence[tuple[Measured, Seed | None]], bounds: tuple[float, float] = ANY
) -> dict[str, Any]:
    """A measure over training seeds: an interval, or null and `<name>_reason`.

    Args:
        name: The measure's key.
        found: Of each training seed the number or why there is none, and what its interval is of;
            None for what episodes cannot be resampled for: Student's t over the numbers.
        bounds: The range that the measure can take.
    """
    known = [(m.value, seed) for m, seed in found if m.value is not None]
    reasons = sorted({measured.reason for measured, _ in found if measured.reason})
    if not known:
        return {name: None, f"{name}_reason": "; ".join(reasons) or "no training seed"}
    interval = _interval(known).clipped(*bounds)
    label = wording.label(name, interval, scope(len(known), len(found)))
    data: dict[str, Any] = {name: interval_data(interval, label)}
    if reasons:
        data[f"{name}_reason"] = "; ".join(reasons)
    return data


def _interval(known: Sequence[tuple[float, Seed | None]]) -> Interval:
    seeds = [seed for _, seed in known if seed is not None]
    if len(seeds) < len(known):
        return intervals.t_interval([value for value, _ in known], "training seed")
    return over_seeds(seeds, scoring.generator())


def scope(known: int, asked: int) -> list[str]:
    """Whom a number is about, for its label."""
    who = [f"{known} of {asked} training seeds"] if known < asked else []
    return [*who, *([scoring.ONE_CHECKPOINT] if known == 1 else [])]

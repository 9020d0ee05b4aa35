"""What shifts leave of a contestant's score: the robustness block of `scores.json`.

Scalars are computed per training seed, then averaged; intervals are over the training seeds. Arrays
are [n, k, l]: training seeds, evaluation seeds, levels; level 0 is the training context.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rl_lab.comparison import scoring, wording
from rl_lab.comparison.scoring import Cells, Setting, ShiftFacts, World
from rl_lab.comparison.wording import interval_data, number
from rl_lab.statistics import intervals, measures
from rl_lab.statistics.intervals import Interval
from rl_lab.statistics.resampling import FloatArray

STILL = "none"
_CVAR_SHARE = 0.1
# Below this the worst tenth is a handful of episodes.
_CVAR_EPISODES = 50
# What still scores this much at the far end has not been tried hard enough.
_SATURATED_SCORE = 0.9


@dataclasses.dataclass(frozen=True)
class _Curves:
    """Scores of the training seeds that have every episode of some contexts.

    Attributes:
        seeds: Those.
        returns_nkl: Their returns.
        scores_nkl: Their scores.
        sides: For each shift the levels that belong to it, the training context first.
    """

    seeds: Sequence[int]
    returns_nkl: FloatArray
    scores_nkl: FloatArray
    sides: Sequence[Sequence[int]]


def robustness(cells: Cells, training_seeds: Sequence[int], setting: Setting) -> dict[str, Any]:
    """The block under "robustness", or null under it and `robustness_reason`."""
    protocol = setting.protocol
    if not protocol.shifts or protocol.shift_episodes < 1 or not any(protocol.deltas):
        return _nothing("no shift was evaluated")
    if setting.anchors is None or setting.no_scale:
        return _nothing(setting.no_scale)
    blocks = []
    for facts in protocol.shifts:
        curves = _curves(cells, training_seeds, [facts], setting)
        blocks.append(_of_shift(curves, facts, setting) if curves.seeds else _unscored(facts))
    together = _curves(cells, training_seeds, protocol.shifts, setting)
    if not together.seeds:
        return _nothing("no training seed has all its shifted episodes")
    return {
        "robustness": {
            "shifts": blocks,
            "learned": bool(together.scores_nkl[:, :, 0].mean() >= measures.LEARNED_SCORE),
            **_summary(together, setting, "+".join(facts.name for facts in protocol.shifts)),
            **_grid(cells, training_seeds, setting),
        }
    }


def _nothing(reason: str) -> dict[str, Any]:
    return {"robustness": None, "robustness_reason": reason}


def _unscored(facts: ShiftFacts) -> dict[str, Any]:
    return {"shift": facts.name, "levels": [], "levels_reason": "not all of its episodes were run"}


def _deltas(setting: Setting) -> list[float]:
    return sorted({0.0, *map(float, setting.protocol.deltas)})


def _curves(
    cells: Cells, training_seeds: Sequence[int], shifts: Sequence[ShiftFacts], setting: Setting
) -> _Curves:
    """All levels of the shifts, the training context once."""
    anchors, deltas = setting.anchors, _deltas(setting)
    assert anchors is not None
    worlds: list[World] = [scoring.NOMINAL]
    worlds += [(facts.name, delta, STILL) for facts in shifts for delta in deltas[1:]]
    shared = setting.evaluation_seeds[: setting.protocol.shift_episodes]
    seeds, returns_nkl = scoring.complete(cells, training_seeds, worlds, shared)
    scores_nkl = np.vectorize(anchors.score)(returns_nkl) if seeds else returns_nkl
    count = len(deltas) - 1
    sides = [[0, *range(1 + i * count, 1 + (i + 1) * count)] for i in range(len(shifts))]
    return _Curves(seeds, returns_nkl, scores_nkl, sides)


def _of_shift(curves: _Curves, facts: ShiftFacts, setting: Setting) -> dict[str, Any]:
    deltas = _deltas(setting)
    per_seed_nl = curves.scores_nkl.mean(axis=1)
    mean_l = per_seed_nl.mean(axis=0)
    critical, text = measures.critical_shift(deltas, mean_l)
    texts = [measures.critical_shift(deltas, row)[1] for row in per_seed_nl]
    return {
        "shift": facts.name,
        "parameter": facts.parameter,
        "unit": facts.unit,
        "near_delta": facts.near_delta,
        "levels": _levels(curves, facts, deltas),
        **_summary(curves, setting, facts.name),
        "saturated": bool(mean_l[-1] >= _SATURATED_SCORE),
        **scoring.stated("critical_shift", np.nan if critical is None else critical, text),
        "critical_shift_text": text,
        "per_seed_critical_shift": dict(zip(map(str, curves.seeds), texts, strict=True)),
    }


def _levels(curves: _Curves, facts: ShiftFacts, deltas: Sequence[float]) -> list[dict[str, Any]]:
    values = dict(facts.values)
    kept, reason = measures.retention(curves.scores_nkl.mean(axis=(0, 1)))
    levels = []
    for level, delta in enumerate(deltas):
        score = intervals.reward_interval(curves.scores_nkl[:, :, level], scoring.generator())
        levels.append(
            {
                "delta": delta,
                "value": values.get(delta),
                "mean_return": float(curves.returns_nkl[:, :, level].mean()),
                "score": score.estimate,
                "low": number(score.low),
                "high": number(score.high),
                **scoring.stated("retention", kept[level] if kept else np.nan, reason),
            }
        )
    return levels


def _summary(curves: _Curves, setting: Setting, name: str) -> dict[str, Any]:
    """Area, worst level and worst tenth, over all the curves together."""
    deltas = _deltas(setting)

    def area(scores: FloatArray) -> FloatArray:
        mean = scores.mean(axis=-2)
        sides = [measures.area_under(deltas, mean[..., list(side)]) for side in curves.sides]
        return np.asarray(np.mean(sides, axis=0))

    auc = intervals.no_interval(np.nan, f"magnitudes end at {deltas[-1]}, no area over [0, 1]")
    if deltas[-1] == 1.0:
        auc = over_seeds(curves.scores_nkl, area).clipped(0.0, 1.0)
    context = setting.context(curves.seeds, auc.method, curves.scores_nkl.shape[1])
    if len(curves.seeds) > 1:
        context += [f"shift {name}", setting.environment]
    worst = over_seeds(curves.scores_nkl, lambda scores: scores.mean(axis=-2).min(axis=-1))
    return {
        "auc": interval_data(auc, wording.label("auc", auc, context, decimals=3)),
        "per_seed_auc": scoring.per_seed(curves.seeds, area(curves.scores_nkl)),
        "worst": interval_data(worst),
        **_cvar(curves.scores_nkl),
    }


def _cvar(scores_nkl: FloatArray) -> dict[str, Any]:
    """Mean of each training seed's worst tenth over all levels and episodes, then averaged."""
    if scores_nkl[0].size < _CVAR_EPISODES:
        reason = f"fewer than {_CVAR_EPISODES} episodes along the shift"
        return {"cvar10": None, "cvar10_reason": reason}

    def tail(scores: FloatArray) -> FloatArray:
        flat = scores.reshape(*scores.shape[:-2], -1)
        worst = flat <= np.quantile(flat, _CVAR_SHARE, axis=-1, keepdims=True)
        return np.asarray(np.where(worst, flat, 0.0).sum(axis=-1) / worst.sum(axis=-1))

    return {"cvar10": interval_data(over_seeds(scores_nkl, tail))}


def over_seeds(scores_nkl: FloatArray, of_seed: Callable[[FloatArray], FloatArray]) -> Interval:
    """The mean over training seeds of a number of each, with its interval.

    Student's t for 2 to 9 seeds; else a crossed bootstrap, for one seed over its episodes.

    Args:
        scores_nkl: One row per training seed.
        of_seed: Maps [..., k, l] to [...].
    """
    if 1 < len(scores_nkl) < intervals.BOOTSTRAP_SEEDS:
        return intervals.t_interval(of_seed(scores_nkl), "training seed")

    def mean(stack: FloatArray) -> FloatArray:
        return np.asarray(of_seed(stack).mean(axis=1))

    return intervals.crossed_bootstrap(scores_nkl, mean, scoring.generator())


def _grid(cells: Cells, training_seeds: Sequence[int], setting: Setting) -> dict[str, Any]:
    """Mean scores with two shifts at once: rows are magnitudes of the first."""
    grid, anchors = setting.protocol.grid, setting.anchors
    if grid is None or anchors is None:
        return {"grid": None, "grid_reason": "no two shifts were evaluated at once"}
    worlds = [cell.world for cell in grid.cells]
    shared = setting.evaluation_seeds[: setting.protocol.shift_episodes]
    seeds, returns_nkl = scoring.complete(cells, training_seeds, worlds, shared)
    if not seeds:
        return {"grid": None, "grid_reason": "no training seed has all its episodes"}
    scores_nkl = np.vectorize(anchors.score)(returns_nkl)
    found = []
    for i, cell in enumerate(grid.cells):
        score = intervals.reward_interval(scores_nkl[:, :, i], scoring.generator())
        ends = {"low": number(score.low), "high": number(score.high)}
        found.append({"deltas": list(cell.deltas), "score": score.estimate, **ends})
    worst = over_seeds(scores_nkl, lambda scores: scores.mean(axis=-2).min(axis=-1))
    return {"grid": {"shifts": list(grid.shifts), "cells": found, "worst": interval_data(worst)}}

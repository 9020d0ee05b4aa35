"""What shifts leave of a contestant's score: the robustness block of `scores.json`.

Scalars are computed per training seed, then averaged; intervals are over the training seeds. Arrays
are [n, k, l]: training seeds, evaluation seeds, levels; level 0 is the training context.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rl_lab.comparison import kept, scoring, wording
from rl_lab.comparison.scoring import (
    CVAR_EPISODES,
    CVAR_SHARE,
    Cells,
    Setting,
    ShiftFacts,
    World,
)
from rl_lab.comparison.wording import interval_data, number
from rl_lab.statistics import intervals, measures
from rl_lab.statistics.adaptation import MILD_SCORE
from rl_lab.statistics.intervals import Interval
from rl_lab.statistics.resampling import FloatArray
from rl_lab.statistics.seeds import of_matrix, over_seeds

STILL = "none"
_NO_SHIFT = "no shift was evaluated"
_NO_SEED = "no training seed has all its shifted episodes"


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
    along = protocol.shifts if any(protocol.deltas) else ()
    if protocol.shift_episodes < 1 or not (along or protocol.grid):
        return _nothing(_NO_SHIFT)
    if isinstance(setting.scale, str):
        return _nothing(setting.scale)
    blocks = []
    for facts in along:
        curves = _curves(cells, training_seeds, [facts], setting)
        blocks.append(_of_shift(curves, facts, setting) if curves.seeds else _unscored(facts))
    grid = _grid(cells, training_seeds, setting)
    if not (grid["grid"] or any(block["levels"] for block in blocks)):
        return _nothing(_NO_SEED)
    together = _together(cells, training_seeds, setting, along)
    return {"robustness": {"shifts": blocks, **together, **grid}}


def _together(
    cells: Cells, training_seeds: Sequence[int], setting: Setting, shifts: Sequence[ShiftFacts]
) -> dict[str, Any]:
    """Whether there was anything to lose, and the summary over all shifts; nulls where one lacks.

    Shifts have their own seeds each; a summary is of seeds that have every shift's episodes.
    """
    curves = _curves(cells, training_seeds, shifts, setting)
    summary = _no_summary(_NO_SEED if shifts else _NO_SHIFT)
    if curves.seeds and shifts:
        summary = _summary(curves, setting, "+".join(facts.name for facts in shifts))
    else:
        curves = _curves(cells, training_seeds, (), setting)
    learned = bool(curves.scores_nkl[:, :, 0].mean() >= measures.LEARNED_SCORE)
    return {"learned": learned, **summary}


def _nothing(reason: str) -> dict[str, Any]:
    return {"robustness": None, "robustness_reason": reason}


def _unscored(facts: ShiftFacts) -> dict[str, Any]:
    reason = "not all of its episodes were run"
    return {
        **_head(facts),
        "levels": [],
        "levels_reason": reason,
        **_no_summary(reason),
        "saturated": None,
        "saturated_reason": reason,
        **scoring.stated("critical_shift", np.nan, reason),
        "critical_shift_text": reason,
        "per_seed_critical_shift": {},
    }


def _no_summary(reason: str) -> dict[str, Any]:
    keys = ("auc", "worst", "cvar10")
    reasons = {f"{key}_reason": reason for key in keys}
    return {**dict.fromkeys(keys), **reasons, "per_seed_auc": {}}


def _head(facts: ShiftFacts) -> dict[str, Any]:
    return {
        "shift": facts.name,
        "parameter": facts.parameter,
        "unit": facts.unit,
        "near_delta": facts.near_delta,
    }


def _deltas(setting: Setting) -> list[float]:
    return sorted({0.0, *map(float, setting.protocol.deltas)})


def _curves(
    cells: Cells, training_seeds: Sequence[int], shifts: Sequence[ShiftFacts], setting: Setting
) -> _Curves:
    """All levels of the shifts, the training context once."""
    scale, deltas = setting.scale, _deltas(setting)
    assert not isinstance(scale, str)
    worlds: list[World] = [scoring.NOMINAL]
    worlds += [(facts.name, delta, STILL) for facts in shifts for delta in deltas[1:]]
    shared = setting.evaluation_seeds[: setting.protocol.shift_episodes]
    seeds, returns_nkl = scoring.complete(cells, training_seeds, worlds, shared)
    scores_nkl = scale.score(returns_nkl)
    count = len(deltas) - 1
    sides = [[0, *range(1 + i * count, 1 + (i + 1) * count)] for i in range(len(shifts))]
    return _Curves(seeds, returns_nkl, scores_nkl, sides)


def _of_shift(curves: _Curves, facts: ShiftFacts, setting: Setting) -> dict[str, Any]:
    deltas = _deltas(setting)
    return {
        **_head(facts),
        "levels": _levels(curves, facts, deltas, setting),
        **_summary(curves, setting, facts.name),
        "saturated": bool(curves.scores_nkl[:, :, -1].mean() >= MILD_SCORE),
        **kept.critical_shift(curves.scores_nkl, curves.seeds, deltas),
    }


def _levels(
    curves: _Curves, facts: ShiftFacts, deltas: Sequence[float], setting: Setting
) -> list[dict[str, Any]]:
    values = dict(facts.values)
    learned = curves.scores_nkl[:, :, 0].mean(axis=1) >= measures.LEARNED_SCORE
    levels = []
    for level, delta in enumerate(deltas):
        score = _score(curves.scores_nkl[:, :, level], setting)
        levels.append(
            {
                "delta": delta,
                "value": values.get(delta),
                "mean_return": float(curves.returns_nkl[:, :, level].mean()),
                "score": score.estimate,
                "low": number(score.low),
                "high": number(score.high),
                **kept.retention(curves.scores_nkl[:, :, [0, level]], learned),
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
        auc = _over_seeds(curves.scores_nkl, area).clipped(0.0, 1.0)
    context = setting.context(curves.seeds, auc.method, curves.scores_nkl.shape[1])
    if len(curves.seeds) > 1:
        context += [f"shift {name}", setting.environment]
    if not isinstance(setting.scale, str) and setting.scale.label:
        context.append(setting.scale.label)
    worst = _worst(curves.scores_nkl, setting)
    return {
        "auc": interval_data(auc, wording.label("auc", auc, context, decimals=3)),
        "per_seed_auc": scoring.per_seed(curves.seeds, area(curves.scores_nkl)),
        "worst": interval_data(worst),
        **_cvar(curves.scores_nkl, setting),
    }


def _score(scores_nk: FloatArray, setting: Setting) -> Interval:
    """The mean score in one world."""
    mean = intervals.reward_interval(scores_nk, scoring.generator())
    return scoring.scores_within_reach(mean, scores_nk, setting)


def _worst(scores_nkl: FloatArray, setting: Setting) -> Interval:
    """The mean over training seeds of each one's lowest level."""
    worst = _over_seeds(scores_nkl, lambda scores: scores.mean(axis=-2).min(axis=-1))
    return scoring.scores_within_reach(worst, scores_nkl, setting)


def _cvar(scores_nkl: FloatArray, setting: Setting) -> dict[str, Any]:
    """Mean of each training seed's worst tenth over all levels and episodes, then averaged."""
    if scores_nkl[0].size < CVAR_EPISODES:
        reason = f"fewer than {CVAR_EPISODES} episodes along the shift"
        return {"cvar10": None, "cvar10_reason": reason}

    def tail(scores: FloatArray) -> FloatArray:
        return measures.cvar(scores.reshape(*scores.shape[:-2], -1), CVAR_SHARE)

    cvar = scoring.scores_within_reach(_over_seeds(scores_nkl, tail), scores_nkl, setting)
    return {"cvar10": interval_data(cvar)}


def _over_seeds(scores_nkl: FloatArray, of_seed: Callable[[FloatArray], FloatArray]) -> Interval:
    """The mean over training seeds of a number of each, which maps [..., k, l] to [...]."""
    return over_seeds(of_matrix(scores_nkl, of_seed), scoring.generator())


def _grid(cells: Cells, training_seeds: Sequence[int], setting: Setting) -> dict[str, Any]:
    """Mean scores with two shifts at once: rows are magnitudes of the first."""
    grid, scale = setting.protocol.grid, setting.scale
    if grid is None or isinstance(scale, str):
        return {"grid": None, "grid_reason": "no two shifts were evaluated at once"}
    worlds = [cell.world for cell in grid.cells]
    shared = setting.evaluation_seeds[: setting.protocol.shift_episodes]
    seeds, returns_nkl = scoring.complete(cells, training_seeds, worlds, shared)
    if not seeds:
        return {"grid": None, "grid_reason": "no training seed has all its episodes"}
    scores_nkl = scale.score(returns_nkl)
    found = []
    for i, cell in enumerate(grid.cells):
        score = _score(scores_nkl[:, :, i], setting)
        ends = {"low": number(score.low), "high": number(score.high)}
        found.append({"deltas": list(cell.deltas), "score": score.estimate, **ends})
    worst = _worst(scores_nkl, setting)
    return {"grid": {"shifts": list(grid.shifts), "cells": found, "worst": interval_data(worst)}}

"""What a shift leaves of a contestant's score: the robustness block of `scores.json`.

Arrays are [n, k, l]: training seeds, evaluation seeds, levels of the shift.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from rl_lab.comparison import scoring, wording
from rl_lab.comparison.scoring import Cells, Setting
from rl_lab.comparison.wording import interval_data, number
from rl_lab.statistics import intervals, measures
from rl_lab.statistics.intervals import Interval
from rl_lab.statistics.resampling import FloatArray

STILL = "none"
_CVAR_SHARE = 0.1
# Below this the worst tenth is a handful of episodes.
_CVAR_EPISODES = 50


@dataclasses.dataclass(frozen=True)
class _Curve:
    """Scores along a shift, of the training seeds that have every episode."""

    seeds: Sequence[int]
    deltas: Sequence[float]
    returns_nkl: FloatArray
    scores_nkl: FloatArray

    @property
    def per_seed_nl(self) -> FloatArray:
        """Mean scores of each training seed."""
        return np.asarray(self.scores_nkl.mean(axis=1))

    @property
    def mean_l(self) -> FloatArray:
        """Mean scores over everything."""
        return np.asarray(self.scores_nkl.mean(axis=(0, 1)))


def robustness(cells: Cells, training_seeds: Sequence[int], setting: Setting) -> dict[str, Any]:
    """The block under "robustness", or null under it and `robustness_reason`."""
    curve = _curve(cells, training_seeds, setting)
    if isinstance(curve, str):
        return {"robustness": None, "robustness_reason": curve}
    return {"robustness": _block(curve, setting)}


def _curve(cells: Cells, training_seeds: Sequence[int], setting: Setting) -> _Curve | str:
    """The scores, or why there are none."""
    protocol, anchors = setting.protocol, setting.anchors
    if protocol.shift is None or protocol.shift_episodes < 1 or not any(protocol.deltas):
        return "no shift was evaluated"
    if anchors is None or setting.no_scale:
        return setting.no_scale
    deltas = sorted({0.0, *map(float, protocol.deltas)})
    contexts = [scoring.NOMINAL, *((protocol.shift, delta, STILL) for delta in deltas[1:])]
    first = protocol.evaluation_seeds[0]
    shared = range(first, first + protocol.shift_episodes)
    seeds, returns_nkl = scoring.complete(cells, training_seeds, contexts, shared)
    if not seeds:
        return "no training seed has all its shifted episodes"
    return _Curve(seeds, deltas, returns_nkl, np.vectorize(anchors.score)(returns_nkl))


def _block(curve: _Curve, setting: Setting) -> dict[str, Any]:
    areas_n = measures.area_under(curve.deltas, curve.per_seed_nl)
    auc = _auc(curve, areas_n)
    context = setting.context(curve.seeds, auc.method, curve.scores_nkl.shape[1])
    if len(curve.seeds) > 1:
        context += [f"shift {setting.protocol.shift}", setting.environment]
    return {
        "shift": setting.protocol.shift,
        "parameter": setting.shift.parameter if setting.shift else None,
        "unit": setting.shift.unit if setting.shift else None,
        "levels": _levels(curve, setting),
        "auc": interval_data(auc, wording.label("auc", auc, context, decimals=3)),
        "per_seed_auc": scoring.per_seed(curve.seeds, areas_n),
        "worst": float(curve.mean_l.min()),
        **_cvar(curve),
        **_critical_shift(curve),
    }


def _levels(curve: _Curve, setting: Setting) -> list[dict[str, Any]]:
    values = dict(setting.shift.values) if setting.shift else {}
    kept, reason = measures.retention(curve.mean_l)
    levels = []
    for level, delta in enumerate(curve.deltas):
        score = intervals.reward_interval(curve.scores_nkl[:, :, level], scoring.generator())
        levels.append(
            {
                "delta": delta,
                "value": values.get(delta),
                "mean_return": float(curve.returns_nkl[:, :, level].mean()),
                "score": score.estimate,
                "low": number(score.low),
                "high": number(score.high),
                **scoring.stated("retention", kept[level] if kept else np.nan, reason),
            }
        )
    return levels


def _auc(curve: _Curve, areas_n: FloatArray) -> Interval:
    def mean_area(stack: FloatArray) -> FloatArray:
        return np.asarray(measures.area_under(curve.deltas, stack.mean(axis=2)).mean(axis=1))

    if curve.deltas[-1] != 1.0:
        reason = f"magnitudes end at {curve.deltas[-1]}, no area over [0, 1]"
        return intervals.no_interval(np.nan, reason)
    if 1 < len(curve.seeds) < intervals.BOOTSTRAP_SEEDS:
        return intervals.t_interval(areas_n, "training seed").clipped(0.0, 1.0)
    return intervals.crossed_bootstrap(curve.scores_nkl, mean_area, scoring.generator())


def _cvar(curve: _Curve) -> dict[str, Any]:
    """Mean of each training seed's worst tenth over all levels and episodes, then averaged."""
    scores_nv = curve.scores_nkl.reshape(len(curve.seeds), -1)
    value = np.nan
    if scores_nv.shape[1] >= _CVAR_EPISODES:
        value = float(np.mean([measures.cvar(row, _CVAR_SHARE) for row in scores_nv]))
    reason = f"fewer than {_CVAR_EPISODES} episodes along the shift"
    return scoring.stated("cvar10", value, reason)


def _critical_shift(curve: _Curve) -> dict[str, Any]:
    """The magnitude as a number, as it is printed, and as printed for each training seed."""
    value, text = measures.critical_shift(curve.deltas, curve.mean_l)
    texts = [measures.critical_shift(curve.deltas, row)[1] for row in curve.per_seed_nl]
    return {
        **scoring.stated("critical_shift", np.nan if value is None else value, text),
        "critical_shift_text": text,
        "per_seed_critical_shift": dict(zip(map(str, curve.seeds), texts, strict=True)),
    }

"""The block `adaptation` of `scores.json`: what learning on gave back, and what it cost.

Every number is computed per training seed; intervals are as `statistics.seeds` has them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rl_lab import energy
from rl_lab.adaptations import CONTINUED
from rl_lab.comparison import measuring, scoring, snapshots
from rl_lab.comparison.snapshots import Cells, Facts, SeedCurves
from rl_lab.comparison.wording import number
from rl_lab.statistics import adaptation
from rl_lab.statistics.adaptation import Curves, Measure, Recovery, always
from rl_lab.statistics.resampling import FloatArray
from rl_lab.statistics.scale import Scale
from rl_lab.statistics.seeds import over_seeds

if TYPE_CHECKING:
    from rl_lab.records import EpisodeRecord

_COSTS = ("gradient_updates", "seconds", "cpu_seconds")


def blocks(
    records: Iterable[EpisodeRecord],
    facts: Sequence[Facts],
    scale: Scale | str,
    ceiling: float | None = None,
) -> dict[str, Any]:
    """The block of every contestant that was adapted.

    Args:
        records: Episodes of the snapshots, in both worlds; `contestant` is a `SnapshotName`.
        facts: Of every adaptation.
        scale: Which returns count as 0 and 1, or why there is no scale.
        ceiling: The highest possible return, where it is known.

    Returns:
        Contestant -> `{adaptation: [...]}`, or `{adaptation: null, adaptation_reason}`.
    """
    cells = snapshots.cells_of(records)
    made: dict[str, Any] = {}
    for name in sorted({f.contestant for f in facts}):
        if isinstance(scale, str):
            made[name] = {"adaptation": None, "adaptation_reason": scale}
            continue
        mine = [f for f in facts if f.contestant == name]
        worlds = sorted({(f.shift, f.delta) for f in mine})
        highest = None if ceiling is None else float(scale.score(ceiling))
        found = [
            _block([f for f in mine if (f.shift, f.delta) == world], cells, scale, highest)
            for world in worlds
        ]
        made[name] = {"adaptation": found}
    return made


def _block(
    facts: Sequence[Facts], cells: Cells, scale: Scale, highest: float | None
) -> dict[str, Any]:
    first = facts[0]
    head = {
        "shift": first.shift,
        "delta": first.delta,
        "parameter": first.parameter,
        "value": first.value,
        "unit": first.unit,
    }
    if len(budgets := sorted({f.budget for f in facts})) > 1:
        reason = f"trainings of different budgets: {', '.join(map(str, budgets))} steps"
        return {**head, "training_seeds": [], "reason": reason}
    continued = [f for f in facts if f.kind == CONTINUED]
    seeds = snapshots.of_seeds(facts, cells, scale)
    if not seeds:
        return {**head, "training_seeds": [], "reason": "no continued training has its episodes"}
    ratio = all(adaptation.has_room(s.curves) for s in seeds)
    transfer = adaptation.forward_transfer if ratio else adaptation.area_difference
    measures = {**_MEASURES, "forward_transfer": transfer}
    return {
        **head,
        "budget": round(seeds[0].curves.budget),
        "episodes": len(seeds[0].faced),
        "training_seeds": [s.seed for s in seeds],
        **_left_out(continued, seeds),
        "scale": scale.label,
        "nominal_learned": all(adaptation.nominal_learned(s.curves) for s in seeds),
        **_measures(seeds, measures),
        "forward_transfer_is": _RATIO if ratio else _DIFFERENCE,
        "steps_to_recover": _recovery([adaptation.steps_to_recover(s.curves) for s in seeds]),
        "cost": _cost(seeds),
        "declared": dict(seeds[0].facts.declared),
        "curves": _mean_curves(seeds, highest),
        "per_seed": {str(s.seed): _of_seed(s.curves, measures) for s in seeds},
    }


def _left_out(continued: Sequence[Facts], seeds: Sequence[SeedCurves]) -> dict[str, Any]:
    """The training seeds that the block is not about, if any."""
    gone = sorted({f.training_seed for f in continued} - {s.seed for s in seeds})
    if not gone:
        return {}
    return {"left_out": gone, "left_out_reason": "episodes are missing"}


_RATIO = "(A - A_scratch) / (1 - A_scratch)"
_DIFFERENCE = "A - A_scratch: from scratch is near perfect"
_Measures = Mapping[str, Measure]
_MEASURES: _Measures = {
    "drop": always(adaptation.drop),
    "jumpstart": adaptation.jumpstart,
    "recovery_ratio": adaptation.recovery_ratio,
    "adaptation_gain": always(adaptation.adaptation_gain),
    "forward_transfer": adaptation.forward_transfer,
    "dip": always(adaptation.dip),
    "forgetting": always(adaptation.forgetting),
}
_BOUNDS = {"dip": (0.0, np.inf)}


def _measures(seeds: Sequence[SeedCurves], measures: _Measures) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, measure in measures.items():
        found = [(measure(s.curves), s.of(measure.formula)) for s in seeds]
        data |= measuring.stated(name, found, _BOUNDS.get(name, measuring.ANY))
    return data


def _recovery(recoveries: Sequence[Recovery]) -> dict[str, Any]:
    summary = adaptation.summarize(recoveries)
    return {
        "reached": summary.reached,
        "seeds": summary.seeds,
        "median": summary.median.value,
        "median_reason": summary.median.reason,
        "restricted_mean": summary.restricted_mean.value,
        "restricted_mean_reason": summary.restricted_mean.reason,
    }


def _cost(seeds: Sequence[SeedCurves]) -> dict[str, Any]:
    means = {key: statistics.fmean(s.facts.costs[key] for s in seeds) for key in _COSTS}
    return {
        "steps": round(seeds[0].curves.budget),
        **means,
        "energy": energy.mean([s.facts.energy for s in seeds]),
    }


def _mean_curves(seeds: Sequence[SeedCurves], highest: float | None) -> list[dict[str, Any]]:
    """Every curve over the seeds, at the steps of the first seed, up to the highest score."""
    twins = [s for s in seeds if s.has_twin]
    return [
        {
            "step": round(step),
            "shifted": _point(seeds, step, lambda c: c.shifted, highest),
            "original": _point(seeds, step, lambda c: c.original, highest),
            "scratch": _point(twins, step, lambda c: c.scratch, highest) if twins else None,
        }
        for step in seeds[0].steps
    ]


def _point(
    seeds: Sequence[SeedCurves],
    step: float,
    which: Callable[[Curves], npt.ArrayLike | None],
    highest: float | None,
) -> dict[str, float | None]:
    def at_step(curves: Curves) -> FloatArray:
        """One curve's score, between its snapshots where there is none."""
        steps, scores = np.asarray(curves.steps), np.asarray(which(curves), dtype=float)
        right = int(np.clip(np.searchsorted(steps, step), 1, len(steps) - 1))
        share = (step - steps[right - 1]) / (steps[right] - steps[right - 1])
        return np.asarray((1 - share) * scores[..., right - 1] + share * scores[..., right])

    found = [s.of(at_step) for s in seeds]
    interval = over_seeds(found, scoring.generator())
    scores = np.array([float(one.value(one.episodes)) for one in found])
    interval = scoring.within_reach(interval, scores, highest)
    return {key: number(getattr(interval, key)) for key in ("estimate", "low", "high")}


def _of_seed(curves: Curves, measures: _Measures) -> dict[str, Any]:
    found = {name: measure(curves) for name, measure in measures.items()}
    recovery = adaptation.steps_to_recover(curves)
    return {
        **{name: measured.value for name, measured in found.items()},
        **{f"{name}_reason": m.reason for name, m in found.items() if m.reason},
        "steps_to_recover": recovery.steps,
        "recovered": recovery.reached,
        "nominal_learned": adaptation.nominal_learned(curves),
        "curves": {
            "steps": list(curves.steps),
            "shifted": _plain(curves.shifted),
            "original": _plain(curves.original),
            "scratch": None if curves.scratch is None else _plain(curves.scratch),
        },
    }


def _plain(curve: npt.ArrayLike) -> list[float]:
    return [float(score) for score in np.asarray(curve)]

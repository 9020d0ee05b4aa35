"""The block `adaptation` of `scores.json`: what learning on gave back, and what it cost.

Every number is computed per training seed; intervals are Student's t over the training seeds.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_lab.adaptations import CONTINUED, SCRATCH, SnapshotName
from rl_lab.comparison import wording
from rl_lab.comparison.wording import interval_data, number
from rl_lab.statistics import adaptation, intervals
from rl_lab.statistics.adaptation import Curves, Measured, Recovery, Scale
from rl_lab.statistics.resampling import FloatArray

if TYPE_CHECKING:
    from rl_lab.records import EpisodeRecord

_COSTS = ("gradient_updates", "seconds", "cpu_seconds")
_NO_ENERGY = "joules are not measured while training"


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of one adaptation besides its episodes.

    Attributes:
        contestant: The contestant's name.
        training_seed: The run's seed.
        kind: CONTINUED or SCRATCH.
        shift: Name of the context.
        delta: Its magnitude.
        parameter: What the shift changes.
        unit: Unit of that.
        value: The parameter's value in the context; None where it has none.
        budget: Steps that were asked for.
        steps: Steps at which there are snapshots.
        costs: What the training took: `gradient_updates`, `seconds`, `cpu_seconds`.
        declared: What was carried over, in words.
    """

    contestant: str
    training_seed: int
    kind: str
    shift: str
    delta: float
    parameter: str | None
    unit: str | None
    value: float | None
    budget: int
    steps: tuple[int, ...]
    costs: Mapping[str, float]
    declared: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class _Seed:
    """One training seed's curves, and what the continued training was."""

    seed: int
    curves: Curves
    facts: Facts


def blocks(
    records: Iterable[EpisodeRecord], facts: Sequence[Facts], scale: Scale | str
) -> dict[str, Any]:
    """The block of every contestant that was adapted.

    Args:
        records: Episodes of the snapshots, in both worlds; `contestant` is a `SnapshotName`.
        facts: Of every adaptation.
        scale: Which returns count as 0 and 1, or why there is no scale.

    Returns:
        Contestant -> `{adaptation: [...]}`, or `{adaptation: null, adaptation_reason}`.
    """
    cells = _cells(records)
    made: dict[str, Any] = {}
    for name in sorted({f.contestant for f in facts}):
        if isinstance(scale, str):
            made[name] = {"adaptation": None, "adaptation_reason": scale}
            continue
        mine = [f for f in facts if f.contestant == name]
        worlds = sorted({(f.shift, f.delta) for f in mine})
        found = [_block([f for f in mine if (f.shift, f.delta) == w], cells, scale) for w in worlds]
        made[name] = {"adaptation": found}
    return made


# Snapshot, training seed, shift of the world that it was judged in -> returns by evaluation seed.
_Cells = dict[tuple[SnapshotName, int, str], dict[int, float]]


def _cells(records: Iterable[EpisodeRecord]) -> _Cells:
    cells: _Cells = {}
    for record in records:
        key = (SnapshotName.parse(record.contestant), record.training_seed, record.shift)
        cells.setdefault(key, {})[record.evaluation_seed] = record.episode_return
    return cells


def _block(facts: Sequence[Facts], cells: _Cells, scale: Scale) -> dict[str, Any]:
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
    # Rollouts need not end at the same step; no curve is read beyond its own end.
    until = min((f.steps[-1] for f in facts if len(f.steps) > 1), default=0)
    continued = sorted((f for f in facts if f.kind == CONTINUED), key=lambda f: f.training_seed)
    twins = {f.training_seed: f for f in facts if f.kind == SCRATCH}
    seeds = [
        _Seed(f.training_seed, curves, f)
        for f in continued
        if (curves := _curves(f, twins.get(f.training_seed), cells, scale, until)) is not None
    ]
    if not seeds:
        return {**head, "training_seeds": [], "reason": "no continued training has its episodes"}
    ratio = all(adaptation.has_room(s.curves) for s in seeds)
    transfer = adaptation.forward_transfer if ratio else adaptation.area_difference
    measures = {**_MEASURES, "forward_transfer": transfer}
    return {
        **head,
        "budget": round(seeds[0].curves.budget),
        "episodes": len(_returns(cells, seeds[0].facts, seeds[0].facts.steps[0], first.shift)),
        "training_seeds": [s.seed for s in seeds],
        **_left_out(continued, seeds),
        "scale": scale.label,
        "nominal_learned": all(adaptation.nominal_learned(s.curves) for s in seeds),
        **_measures(seeds, measures),
        "forward_transfer_is": _RATIO if ratio else _DIFFERENCE,
        "steps_to_recover": _recovery([adaptation.steps_to_recover(s.curves) for s in seeds]),
        "cost": _cost(seeds),
        "declared": dict(seeds[0].facts.declared),
        "curves": _mean_curves(seeds),
        "per_seed": {str(s.seed): _of_seed(s.curves, measures) for s in seeds},
    }


def _left_out(continued: Sequence[Facts], seeds: Sequence[_Seed]) -> dict[str, Any]:
    """The training seeds that the block is not about, if any."""
    gone = sorted({f.training_seed for f in continued} - {s.seed for s in seeds})
    if not gone:
        return {}
    return {"left_out": gone, "left_out_reason": "episodes are missing"}


def _returns(cells: _Cells, facts: Facts, step: int, world: str) -> FloatArray:
    name = SnapshotName(facts.contestant, facts.kind, facts.shift, facts.delta, step)
    found = cells.get((name, facts.training_seed, world), {})
    return np.array([found[seed] for seed in sorted(found)])


def _curves(
    facts: Facts, twin: Facts | None, cells: _Cells, scale: Scale, until: int
) -> Curves | None:
    """A seed's curves up to a step; None where an episode is missing."""
    shifted = [_returns(cells, facts, step, facts.shift) for step in facts.steps]
    original = [_returns(cells, facts, step, "none") for step in facts.steps]
    counts = {len(returns) for returns in (*shifted, *original)}
    if len(counts) != 1 or 0 in counts or len(facts.steps) < 2:
        return None
    lost = scale.score(original[0]) - scale.score(shifted[0])
    error = float(lost.std(ddof=1) / len(lost) ** 0.5) if len(lost) > 1 else None
    steps = [float(step) for step in (*(s for s in facts.steps if s < until), until)]
    return Curves(
        steps=steps,
        shifted=_read(steps, facts, _scores(shifted, scale)),
        original=_read(steps, facts, _scores(original, scale)),
        scratch=None if twin is None else _scratch(steps, twin, cells, scale),
        drop_error=error,
    )


def _read(steps: Sequence[float], facts: Facts, scores: Sequence[float]) -> list[float]:
    """A curve at steps within its own, between its snapshots where there is none."""
    return [float(score) for score in np.interp(steps, facts.steps, scores)]


def _scores(returns: Sequence[FloatArray], scale: Scale) -> list[float]:
    return [float(scale.score(values).mean()) for values in returns]


def _scratch(
    steps: Sequence[float], twin: Facts, cells: _Cells, scale: Scale
) -> list[float] | None:
    """The twin's curve at the steps of the other."""
    returns = [_returns(cells, twin, step, twin.shift) for step in twin.steps]
    if any(len(values) == 0 for values in returns):
        return None
    return _read(steps, twin, _scores(returns, scale))


_RATIO = "(A - A_scratch) / (1 - A_scratch)"
_DIFFERENCE = "A - A_scratch: from scratch is near perfect"
_Measures = Mapping[str, Callable[[Curves], Measured]]
_MEASURES: _Measures = {
    "drop": lambda c: Measured(adaptation.drop(c)),
    "jumpstart": adaptation.jumpstart,
    "recovery_ratio": adaptation.recovery_ratio,
    "adaptation_gain": lambda c: Measured(adaptation.adaptation_gain(c)),
    "forward_transfer": adaptation.forward_transfer,
    "dip": lambda c: Measured(adaptation.dip(c)),
    "forgetting": lambda c: Measured(adaptation.forgetting(c)),
}


def _measures(seeds: Sequence[_Seed], measures: _Measures) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, measure in measures.items():
        found = [measure(s.curves) for s in seeds]
        data |= over_seeds(name, found)
    return data


def over_seeds(
    name: str, found: Sequence[Measured], bounds: tuple[float, float] = (-np.inf, np.inf)
) -> dict[str, Any]:
    """A measure over training seeds: an interval, or null and `<name>_reason`.

    Args:
        name: The measure's key.
        found: Of each training seed.
        bounds: The range that the measure can take.
    """
    values = [m.value for m in found if m.value is not None]
    reasons = sorted({m.reason for m in found if m.reason})
    if not values:
        return {name: None, f"{name}_reason": "; ".join(reasons) or "no training seed"}
    interval = intervals.t_interval(values, "training seed").clipped(*bounds)
    label = wording.label(name, interval, [f"{len(values)} of {len(found)} training seeds"])
    data: dict[str, Any] = {name: interval_data(interval, label)}
    if reasons:
        data[f"{name}_reason"] = "; ".join(reasons)
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


def _cost(seeds: Sequence[_Seed]) -> dict[str, Any]:
    means = {key: statistics.fmean(s.facts.costs[key] for s in seeds) for key in _COSTS}
    return {
        "steps": round(seeds[0].curves.budget),
        **means,
        "joules": None,
        "joules_reason": _NO_ENERGY,
    }


def _mean_curves(seeds: Sequence[_Seed]) -> list[dict[str, Any]]:
    """Every curve over the seeds, at the steps of the first seed."""
    with_scratch = [s for s in seeds if s.curves.scratch is not None]
    steps = seeds[0].curves.steps
    return [
        {
            "step": round(step),
            "shifted": _point([np.interp(step, s.curves.steps, s.curves.shifted) for s in seeds]),
            "original": _point([np.interp(step, s.curves.steps, s.curves.original) for s in seeds]),
            "scratch": _point(
                [np.interp(step, s.curves.steps, s.curves.scratch or ()) for s in with_scratch]
            )
            if with_scratch
            else None,
        }
        for step in steps
    ]


def _point(values: Sequence[float]) -> dict[str, float | None]:
    interval = intervals.t_interval(values, "training seed")
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
            "shifted": list(curves.shifted),
            "original": list(curves.original),
            "scratch": None if curves.scratch is None else list(curves.scratch),
        },
    }

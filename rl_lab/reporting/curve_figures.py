"""Figures of lines: learning curves, robustness curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab.reporting import curves, lines, text
from rl_lab.reporting.arranging import Line, arranged, size_of
from rl_lab.reporting.curves import Band, Curve
from rl_lab.reporting.figures import Figure, Missing, distinct, looks, short
from rl_lab.reporting.lines import Axes, Series, Tick
from rl_lab.reporting.stored import Data, Evaluation, block, curve_of, levels_of, reason

_MOST_LABELS = 6
_HOW_CURVES = (
    "the line is the mean over training seeds, the band runs from the lowest to the highest; dots"
    " mark a single seed."
)
_HOW = {
    "steps": f"{_HOW_CURVES} Further left is learning from less experience.",
    "seconds": f"{_HOW_CURVES} Further left is learning in less time on the training machine.",
}


def learning(evaluation: Evaluation) -> list[Figure]:
    """Learning curves by environment steps and by wall time."""
    found: dict[str, list[Curve]] = {}
    missing: list[Missing] = []
    for contestant in evaluation.contestants:
        own, lacking = curves.of_contestant(evaluation.folder, contestant)
        missing += lacking
        if own:
            found[str(contestant.get("name"))] = own
    look = looks(evaluation.contestants)
    return [
        _learning(found, look, missing, "steps", "Learning curves by environment steps"),
        _learning(found, look, missing, "seconds", "Learning curves by wall time"),
    ]


def _learning(
    found: Mapping[str, Sequence[Curve]],
    look: Mapping[str, str],
    missing: Sequence[Missing],
    along: str,
    heading: str,
) -> Figure:
    drawn, lacking = [], list(missing)
    for name, own in found.items():
        band = curves.band(own, along)
        if isinstance(band, Band):
            drawn.append(_learning_line(name, band, look[name]))
        else:
            lacking.append(Missing(name, band))
    figure = Figure(heading, _HOW[along], "single", (), missing=distinct(lacking))
    if not drawn:
        return figure
    unit, label = 1.0, "environment steps"
    if along == "seconds":
        unit, label = text.seconds_unit(max(line.series.x[-1] for line in drawn))
        label = f"{label} of training"
    series = [line.series for line in drawn]
    axes = lines.axes(series, label, "training return", size_of(series), unit)
    return arranged(figure, drawn, axes, f"learning-{along}")


def _learning_line(name: str, band: Band, look: str) -> Line:
    alone = band.seeds == 1
    nothing = [math.nan] * len(band.x)
    low, high = (nothing, nothing) if alone else (list(band.low), list(band.high))
    series = Series(look, list(band.x), list(band.mean), low, high, dots=alone)
    seeds = "1 training seed" if alone else f"{band.seeds} training seeds"
    words = f"{short(name)}, {seeds}: from {band.mean[0]:.4g} to {band.mean[-1]:.4g}"
    return Line(name, series, words, seeds)


def robustness(evaluation: Evaluation) -> Figure:
    """Score along the shift."""
    look = looks(evaluation.contestants)
    drawn, missing = [], []
    for contestant in evaluation.contestants:
        name, stored = str(contestant.get("name")), block(contestant, "robustness")
        if levels_of(stored):
            drawn.append(_robustness_line(name, stored, look[name]))
        else:
            why = reason(contestant, "robustness")
            if stored:
                along = curve_of(stored)
                why = reason(along, "levels") if along else reason(stored, "auc")
            missing.append(Missing(name, why))
    figure = Figure(
        "Score along the shift",
        "left is the training context, right its far end; 1 is a solved task and 0 random play."
        " The slower a line falls, the better its policy copes; the band is the 95% interval,"
        " as in the leaderboard.",
        "aside",
        (),
        missing=distinct(missing),
    )
    if not drawn:
        return figure
    axes = _robustness_axes(evaluation, [line.series for line in drawn])
    return arranged(figure, drawn, axes, "robustness")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _robustness_line(name: str, robustness: Data, look: str) -> Line:
    levels = levels_of(robustness)
    columns = [
        [_number(level.get(key)) for level in levels] for key in ("delta", "score", "low", "high")
    ]
    x, y, low, high = columns
    words = ", ".join(f"{score:.3g} at {delta:g}" for delta, score in zip(x, y, strict=True))
    spoken = f"{short(name)}: score {words}"
    value = f"area {text.estimate(block(curve_of(robustness), 'auc'), decimals=2)}"
    return Line(name, Series(look, x, y, low, high, dots=True), spoken, value)


def _robustness_axes(evaluation: Evaluation, drawn: Sequence[Series]) -> Axes:
    blocks = [block(c, "robustness") for c in evaluation.contestants]
    found = next(found for found in blocks if levels_of(found))
    facts = curve_of(found)
    values = {float(level["delta"]): level.get("value") for level in levels_of(found)}
    ticks = [Tick(d, f"{d:g}", "" if v is None else f"{v:.3g}") for d, v in _thinned(values)]
    unit = f" ({facts['unit']})" if facts.get("unit") else ""
    parameter = f"{facts['parameter']}{unit}" if facts.get("parameter") else "parameter not stored"
    shift = facts.get("shift") or "shift"
    label = f"magnitude of {shift}, with {parameter} below"
    deltas = [value for one in drawn for value in one.x]
    width = max(deltas) - min(deltas) or 1.0
    return Axes(
        (min(deltas) - 0.03 * width, max(deltas) + 0.03 * width),
        lines.span(drawn, also=(0.0, 1.0)),
        ticks,
        label,
        "score",
        references=((0.0, "random"), (1.0, "solved")),
        size=size_of(drawn),
    )


def _thinned(values: Mapping[float, Any]) -> list[tuple[float, Any]]:
    """Levels to label: all where they fit, always the first and the last."""
    known = sorted(values.items())
    if len(known) <= _MOST_LABELS:
        return known
    step = -(-(len(known) - 1) // (_MOST_LABELS - 1))
    kept = known[:-1:step]
    last_gap = (known[-1][0] - kept[-1][0]) / (known[-1][0] - known[0][0])
    return [*(kept if last_gap > 0.1 else kept[:-1]), known[-1]]

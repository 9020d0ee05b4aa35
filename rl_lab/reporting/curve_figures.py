"""Learning curves, by steps and by time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rl_lab.reporting import curves, lines, text
from rl_lab.reporting.arranging import Line, arranged, size_of
from rl_lab.reporting.curves import Band, Curve
from rl_lab.reporting.figures import Figure, Missing, distinct, looks, short
from rl_lab.reporting.lines import Series
from rl_lab.reporting.stored import Evaluation

_TOLERATED_CUT = 0.02  # of the longest; seeds never end in the same second
_HOW_CURVES = (
    "the line is the mean over training seeds, the band runs from the lowest to the highest; both"
    " end where the first of the seeds ends. Dots mark a single seed."
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
    bands, lacking = {}, list(missing)
    for name, own in found.items():
        band = curves.band(own, along)
        if isinstance(band, Band):
            bands[name] = band
        else:
            lacking.append(Missing(name, band))
    figure = Figure(heading, _HOW[along], "single", (), missing=distinct(lacking))
    if not bands:
        return figure
    drawn = [_learning_line(name, band, look[name], along) for name, band in bands.items()]
    unit, label = 1.0, "environment steps"
    if along == "seconds":
        unit, label = text.seconds_unit(max(line.series.x[-1] for line in drawn))
        label = f"{label} of training"
    series = [line.series for line in drawn]
    axes = lines.axes(series, label, "training return", size_of(series), unit)
    return arranged(figure, drawn, axes, f"learning-{along}")


def _learning_line(name: str, band: Band, look: str, along: str) -> Line:
    alone = band.seeds == 1
    nothing = [math.nan] * len(band.x)
    low, high = (nothing, nothing) if alone else (list(band.low), list(band.high))
    series = Series(look, list(band.x), list(band.mean), low, high, dots=alone)
    seeds = "1 training seed" if alone else f"{band.seeds} training seeds"
    seeds += _cut(band, along)
    words = f"{short(name)}, {seeds}: from {band.mean[0]:.4g} to {band.mean[-1]:.4g}"
    return Line(name, series, words, seeds)


def _cut(band: Band, along: str) -> str:
    """Where the line ends although some seeds went on, in words; "" where all end together."""
    if band.longest - band.x[-1] <= _TOLERATED_CUT * band.longest:
        return ""
    show = text.duration if along == "seconds" else text.count
    return f", to {show(band.x[-1])} (the longest took {show(band.longest)})"

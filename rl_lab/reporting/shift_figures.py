"""Scores along every shift of an evaluation, and over two shifts at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from rl_lab.reporting import lines, text
from rl_lab.reporting.arranging import Line, arranged, size_of
from rl_lab.reporting.figures import Figure, Missing, distinct, looks, short
from rl_lab.reporting.lines import Axes, Series, Tick
from rl_lab.reporting.stored import Data, Evaluation, block, not_learned, reason
from rl_lab.reporting.tables import Column, Table, intervals, table, words

_MARGIN = 0.03
_LONGEST_LABEL = 54
_MOST_LABELS = 6
_HOW = (
    "left is the training context, right its far end; 1 is a solved task and 0 random play."
    " The slower a line falls, the better its policy copes; the band is the 95% interval,"
    " as in the leaderboard."
)
_HOW_FURTHER = (
    "left is the training context, right the shift's far end. A line that stays up is a policy"
    " that this change does not touch."
)


def along(evaluation: Evaluation) -> dict[str, Figure]:
    """A figure for each shift, `robustness` and from the second on `robustness_<k>`."""
    names: dict[str | None, None] = {
        str(curve.get("shift")): None for c in evaluation.contestants for curve in _curves(c)
    }
    first, *others = names or (None,)
    figures = {"robustness": _figure(evaluation, first, _HOW, "robustness")}
    for place, name in enumerate(others, 2):
        figures[f"robustness_{place}"] = _figure(evaluation, name, _HOW_FURTHER, f"along-{place}")
    return figures


def _curves(contestant: Data) -> list[Data]:
    return list(block(contestant, "robustness").get("shifts") or [])


def _figure(evaluation: Evaluation, shift: str | None, how: str, key: str) -> Figure:
    look = looks(evaluation.contestants)
    drawn, missing = [], []
    first: Data = {}
    for contestant in evaluation.contestants:
        name = str(contestant.get("name"))
        curve = next((c for c in _curves(contestant) if str(c.get("shift")) == shift), {})
        levels = [lv for lv in curve.get("levels") or [] if lv.get("delta") is not None]
        if levels:
            first = first or curve
            drawn.append(_line(contestant, curve, levels, look[name]))
        else:
            missing.append(Missing(name, _why(contestant, curve, shift)))
    heading = f"Score along {shift or 'the shift'}"
    figure = Figure(heading, how, "aside", (), missing=distinct(missing))
    if not drawn:
        return figure
    return arranged(figure, drawn, _axes(first, [line.series for line in drawn]), key)


def _why(contestant: Data, curve: Data, shift: str | None) -> str:
    """Why a contestant has no line along a shift."""
    stored = block(contestant, "robustness")
    if not stored:
        return reason(contestant, "robustness")
    if curve:
        return reason(curve, "levels")
    return reason(stored, "auc") if shift is None else f"it was not evaluated along {shift}"


def _line(contestant: Data, curve: Data, levels: list[Data], look: str) -> Line:
    x, y, low, high = (
        [_number(level.get(key)) for level in levels] for key in ("delta", "score", "low", "high")
    )
    spoken = ", ".join(f"{score:.3g} at {delta:g}" for delta, score in zip(x, y, strict=True))
    name = str(contestant.get("name"))
    value = f"area {text.estimate(block(curve, 'auc'), decimals=2)}"
    if not_learned(contestant):
        value += ", nominal not learned"
    if curve.get("saturated"):
        value += ", still solved at the far end: a harder shift would say more"
    series = Series(look, x, y, low, high, dots=True)
    return Line(name, series, f"{short(name)}: score {spoken}", value)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _axes(curve: Data, series: list[Series]) -> Axes:
    values = {
        float(lv["delta"]): lv.get("value") for lv in curve["levels"] if lv.get("delta") is not None
    }
    ticks = [Tick(d, f"{d:g}", "" if v is None else f"{v:.3g}") for d, v in _thinned(values)]
    unit = f" ({curve['unit']})" if curve.get("unit") else ""
    width = max(values) - min(values) or 1.0
    axes = Axes(
        (min(values) - _MARGIN * width, max(values) + _MARGIN * width),
        lines.span(series, also=(0.0, 1.0)),
        ticks,
        _label(str(curve.get("parameter") or "a parameter that is not stored"), unit),
        "score",
        references=((0.0, "random"), (1.0, "solved")),
    )
    return dataclasses.replace(axes, size=size_of(series))


def _thinned(values: Mapping[float, Any]) -> list[tuple[float, Any]]:
    """Levels to label: all where they fit, always the first and the last."""
    known = sorted(values.items())
    if len(known) <= _MOST_LABELS:
        return known
    step = -(-(len(known) - 1) // (_MOST_LABELS - 1))
    kept = known[:-1:step]
    last_gap = (known[-1][0] - kept[-1][0]) / (known[-1][0] - known[0][0])
    return [*(kept if last_gap > 0.1 else kept[:-1]), known[-1]]


def _label(parameter: str, unit: str) -> str:
    """What is counted along; without its unit where that would not fit."""
    whole = f"magnitude, with {parameter}{unit} below"
    return whole if len(whole) <= _LONGEST_LABEL else f"magnitude, with {parameter} below"


def grids(evaluation: Evaluation) -> dict[str, Table]:
    """Per contestant, scores where two shifts act at once: one down, the other across."""
    found = {}
    for place, contestant in enumerate(evaluation.contestants):
        grid = block(block(contestant, "robustness"), "grid")
        cells = {tuple(c["deltas"]): c for c in grid.get("cells") or []}
        if not cells:
            continue
        down, across = (sorted({key[axis] for key in cells}) for axis in (0, 1))
        first, second = (str(name) for name in grid.get("shifts") or ("?", "?"))
        rows = [
            [
                words(f"{a:g}"),
                *intervals(
                    [_scored(cells.get((a, b), {})) for b in across],
                    ["not evaluated"] * len(across),
                    2,
                ),
            ]
            for a in down
        ]
        columns = [Column(first, kind="text"), *(Column(f"{b:g}", f"of {second}") for b in across)]
        caption = f"{short(str(contestant.get('name')))}: score under {first} and {second} at once"
        how = (
            f"top left is the training context; down {first} grows, to the right {second}. A corner"
            " far below both edges says that the two are worse together than each alone."
        )
        found[f"grid_{place}"] = table(f"grid-{place}", caption, columns, rows, how)
    return found


def _scored(cell: Data) -> dict[str, Any]:
    return {**cell, "estimate": cell.get("score")}

"""Lines of contestants arranged: all in one chart while they can be told apart, else one each."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from rl_lab.reporting import lines
from rl_lab.reporting.figures import MOST_TOGETHER, Figure, Key, Panel, short
from rl_lab.reporting.lines import Axes, Series

_TOGETHER_SIZE = (420, 270)
_MULTIPLE_SIZE = (320, 200)
_MOST_SMALL, _MOST_SMALL_DOTS = 16, 6


@dataclasses.dataclass(frozen=True)
class Line:
    """A contestant's line with what to call it."""

    name: str
    series: Series
    text: str
    value: str = ""


def together(drawn: Sequence[Series]) -> bool:
    """Whether one chart can hold them all, each with a look of its own."""
    return len({series.look for series in drawn}) == len(drawn)


def size_of(drawn: Sequence[Series]) -> tuple[int, int]:
    """Width and height of a chart that holds these, in pixels."""
    return _TOGETHER_SIZE if together(drawn) else _MULTIPLE_SIZE


def arranged(figure: Figure, drawn: Sequence[Line], axes: Axes, key: str) -> Figure:
    """All lines in one chart where they can be told apart, else one chart each."""
    series = [line.series for line in drawn]
    shared = {line.value for line in drawn}
    if len(drawn) > 1 and len(shared) == 1 and any(shared):
        figure = dataclasses.replace(figure, how=f"{figure.how} Each shows {shared.pop()}.")
        drawn = [dataclasses.replace(line, value="") for line in drawn]
    if together(series):
        words = ". ".join(line.text for line in drawn)
        picture = lines.draw(series, axes, figure.heading, words, key)
        keys = [Key(line.series.look, line.name, note=line.value) for line in drawn]
        return dataclasses.replace(figure, panels=[Panel("", picture)], keys=keys)
    best, labels = drawn[0], f"Along: {axes.x_label}. Up: {axes.y_label}."
    axes = dataclasses.replace(axes, x_label="", y_label="")
    ghost = dataclasses.replace(best.series, look="ghost", dots=False)
    ghost = dataclasses.replace(
        ghost, low=[math.nan] * len(ghost.x), high=[math.nan] * len(ghost.x)
    )
    panels = []
    for place, line in enumerate(drawn):
        title = f"{figure.heading}: {short(line.name)}"
        picture = lines.draw(
            [_thinned(line.series)],
            axes,
            title,
            line.text,
            f"{key}-{place}",
            behind=f"{key}-0-behind",
            ghost=_thinned(ghost),
        )
        panels.append(Panel(line.name, picture, line.value))
    how = f"{figure.how} The grey dashed line repeats the first chart. {labels}"
    return dataclasses.replace(figure, panels=panels, how=how, kind="multiples")


def _thinned(series: Series) -> Series:
    """The same line with as few points and dots as a small chart can show."""
    step = -(-len(series.x) // _MOST_SMALL)
    kept = sorted({*range(0, len(series.x), step), len(series.x) - 1})

    def some(values: Sequence[float]) -> list[float]:
        return [values[i] for i in kept]

    return dataclasses.replace(
        series,
        x=some(series.x),
        y=some(series.y),
        low=some(series.low),
        high=some(series.high),
        dots=series.dots and len(kept) <= _MOST_SMALL_DOTS,
    )


def side_by_side(figures: Sequence[Figure]) -> list[list[Figure]]:
    """Rows of the page: two charts beside each other where both are single ones, else one.

    A chart alone has its legend at its side; one of two has it above.
    """
    rows: list[list[Figure]] = []
    for figure in figures:
        narrow = figure.kind == "aside" and len(figure.keys) <= MOST_TOGETHER and figure.panels
        before = rows[-1][0] if rows and len(rows[-1]) == 1 else None
        if narrow and before is not None and before.kind == "aside" and before.panels:
            both = (before, figure)
            rows[-1] = [dataclasses.replace(one, kind="single") for one in both]
        else:
            rows.append([figure])
    return rows

"""Line charts with bands: learning curves, robustness curves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import Markup

from rl_lab.reporting.svg import (
    Scale,
    coordinate,
    domain,
    element,
    group,
    nice_ticks,
    picture,
    points,
    stretches,
    tick_text,
)

_LEFT, _RIGHT, _TOP, _LINE = 46, 12, 20, 14
_LETTER_PX = 6.0  # of a reference's name, about


@dataclasses.dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        look: CSS class of its colour and dashes; "ghost" for a line to compare with.
        x: Positions, rising.
        y: Numbers, one per position; NaN where missing.
        low: Lower ends of the band; NaN where there is none.
        high: Upper ends of the band; NaN where there is none.
        dots: Whether to mark each number.
        joined: Whether a line joins them.
    """

    look: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    dots: bool = False
    joined: bool = True


@dataclasses.dataclass(frozen=True)
class Tick:
    """A mark on the horizontal axis, with one or two lines of text."""

    at: float
    text: str
    below: str = ""


@dataclasses.dataclass(frozen=True)
class Axes:
    """What all charts of a figure share.

    Attributes:
        x: Lowest and highest position.
        y: Lowest and highest number.
        x_ticks: Marks on the horizontal axis.
        x_label: What is counted along it; "" to leave that to the figure.
        y_label: What is counted upwards; "" likewise.
        references: Number -> name of horizontal lines.
        size: Width and height in pixels.
        log: Whether equal ratios are equal distances along, and upwards.
        y_text: From a number upwards to its text.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    x_ticks: Sequence[Tick]
    x_label: str
    y_label: str
    references: Sequence[tuple[float, str]] = ()
    size: tuple[int, int] = (420, 260)
    log: tuple[bool, bool] = (False, False)
    y_text: Callable[[float], str] = tick_text


def axes(
    series: Sequence[Series], x_label: str, y_label: str, size: tuple[int, int], unit: float
) -> Axes:
    """Axes on which all of `series` fit, with round ticks.

    Args:
        series: Everything that will be drawn on them.
        x_label: What is counted along.
        y_label: What is counted upwards.
        size: Width and height in pixels.
        unit: Horizontal numbers are shown divided by this.
    """
    xs = [value for one in series for value in one.x]
    low, high = min(xs), max(xs)
    if low == high:
        low, high = domain(xs)
    marks = nice_ticks(low / unit, high / unit, size[0] // 80)
    ticks = [Tick(mark * unit, tick_text(mark)) for mark in marks]
    return Axes((low, high), span(series), ticks, x_label, y_label, size=size)


def span(series: Sequence[Series], also: Sequence[float] = ()) -> tuple[float, float]:
    """A vertical range that shows all lines and bands."""
    return domain([v for s in series for values in (s.y, s.low, s.high) for v in values] + [*also])


def positive_span(series: Sequence[Series], also: Sequence[float] = ()) -> tuple[float, float]:
    """A vertical range for equal ratios that shows all lines; all numbers must be above 0."""
    values = [value for one in series for value in one.y if value > 0] + [*also]
    return min(values) / 1.3, max(values) * 1.3


def draw(
    series: Sequence[Series],
    axes: Axes,
    title: str,
    text: str,
    key: str,
    behind: str = "",
    ghost: Series | None = None,
) -> Markup:
    """One chart as SVG.

    Args:
        series: The lines.
        axes: What they are drawn on.
        title: What the chart shows.
        text: What there is to see.
        key: Unique within the page.
        behind: Name of a backdrop of axes and ghost; the chart whose key it is draws it, others
            of the same figure refer to it, which keeps small multiples small.
        ghost: A line to compare with.
    """
    width, height = axes.size
    x, y, bottom = _scales(axes)
    if behind and not behind.startswith(f"{key}-"):
        parts = [element("use", href=f"#{behind}")]
    else:
        ground = [*_horizontal_axis(axes, x, bottom), *_vertical_axis(axes, y, x.end)]
        ground += [_series(ghost, x, y)] if ghost else []
        ground += _reference_names(axes, [*series, ghost], x, y) if ghost else []
        parts = [group(ground, id=behind or None)]
    parts += [_series(one, x, y) for one in series]
    parts += [] if ghost else _reference_names(axes, series, x, y)
    return picture(title, text, *parts, key=key, class_="plot", viewBox=f"0 0 {width} {height}")


def _scales(axes: Axes) -> tuple[Scale, Scale, float]:
    """Along, upwards, and where the bottom is."""
    width, height = axes.size
    rows = 1 + any(tick.below for tick in axes.x_ticks) + bool(axes.x_label)
    bottom = height - 10 - rows * _LINE
    x = Scale(*axes.x, _LEFT, width - _RIGHT, axes.log[0])
    return x, Scale(*axes.y, bottom, _TOP if axes.y_label else _TOP / 2, axes.log[1]), bottom


def _horizontal_axis(axes: Axes, x: Scale, bottom: float) -> list[Markup]:
    base = coordinate(bottom)
    marks = "".join(f"M{coordinate(x(tick.at))} {base}v4" for tick in axes.x_ticks)
    line = element("path", d=f"M{_LEFT} {base}H{coordinate(x.end)}{marks}", class_="axis")
    texts = [
        element("text", words, x=x(tick.at), y=bottom + 4 + (row + 0.9) * _LINE)
        for tick in axes.x_ticks
        for row, words in enumerate((tick.text, tick.below))
        if words
    ]
    parts = [line, group(texts, text_anchor="middle")]
    if axes.x_label:
        at = {"x": x.end, "y": axes.size[1] - 4, "text_anchor": "end"}
        parts.append(element("text", axes.x_label, **at))
    return parts


def _vertical_axis(axes: Axes, y: Scale, right: float) -> list[Markup]:
    ticks = y.ticks(4)
    across = f"H{coordinate(right)}"
    grid = "".join(f"M{_LEFT} {coordinate(y(tick))}{across}" for tick in ticks)
    texts = [element("text", axes.y_text(tick), x=_LEFT - 6, y=y(tick) + 4) for tick in ticks]
    parts = [element("path", d=grid, class_="grid"), group(texts, text_anchor="end")]
    if axes.y_label:
        parts.append(element("text", axes.y_label, x=0, y=11))
    for value, _ in axes.references:
        at = coordinate(y(value))
        parts.append(element("path", d=f"M{_LEFT} {at}{across}", class_="reference"))
    return parts


def _reference_names(axes: Axes, series: Sequence[Series], x: Scale, y: Scale) -> list[Markup]:
    """Names of the references, each at the end and on the side where the fewest lines pass."""
    traces = [_trace(one, x, y) for one in series]
    parts = []
    for value, name in axes.references:
        width, line = _LETTER_PX * len(name), y(value)
        places = [
            (anchor, left, baseline)
            for baseline in (line - 4, line + 12)
            for anchor, left in (("end", x.end - width), ("start", x.start + 4))
        ]

        def crowd(place: tuple[str, float, float], width: float = width) -> int:
            _, left, baseline = place
            steps = np.linspace(left - 3, left + width + 3, 16)
            heights = np.array([np.interp(steps, *t, np.nan, np.nan) for t in traces])
            return int(((heights > baseline - 12) & (heights < baseline + 4)).sum())

        anchor, left, baseline = min(places, key=crowd)
        at = {"x": left + (width if anchor == "end" else 0.0), "y": baseline, "text_anchor": anchor}
        parts.append(element("text", name, **at, class_="reference-name"))
    return parts


def _trace(series: Series, x: Scale, y: Scale) -> tuple[list[float], list[float]]:
    """Where a line passes, in pixels."""
    known = [(a, b) for a, b in zip(series.x, series.y, strict=True) if math.isfinite(b)]
    return [x(a) for a, _ in known] or [math.nan], [y(b) for _, b in known] or [math.nan]


def _series(series: Series, x: Scale, y: Scale) -> Markup:
    xs = [x(value) for value in series.x]
    ends = zip(series.low, series.high, strict=True)
    bands = stretches([math.isfinite(low) and math.isfinite(high) for low, high in ends])
    parts = [_band(series, xs, y, indices) for indices in bands if len(indices) > 1]
    for indices in stretches([math.isfinite(value) for value in series.y]):
        ys = [y(series.y[i]) for i in indices]
        if series.joined:
            corners = points([xs[i] for i in indices], ys)
            parts.append(element("polyline", points=corners, class_="line"))
        if series.dots or len(indices) == 1:
            spots = zip((xs[i] for i in indices), ys, strict=True)
            radius = 2.5 if series.joined else 4.0
            parts += [element("circle", cx=a, cy=b, r=radius, class_="dot") for a, b in spots]
    return group(parts, class_=series.look)


def _band(series: Series, xs: Sequence[float], y: Scale, indices: range) -> Markup:
    there = [f"{coordinate(xs[i])},{coordinate(y(series.high[i]))}" for i in indices]
    back = [f"{coordinate(xs[i])},{coordinate(y(series.low[i]))}" for i in reversed(indices)]
    return element("polygon", points=" ".join(there + back), class_="band")

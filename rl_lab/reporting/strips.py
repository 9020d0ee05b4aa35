"""One row per contestant on a shared horizontal axis: dots, intervals, percentiles.

Positions are percentages of the width, so a strip fits any screen with its text unscaled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from rl_lab.reporting.svg import Scale, element, percent, picture, tick_text

_START, _END = 3.0, 97.0  # percent
_HEIGHT = 48
_MIDDLE, _DOTS_Y, _BAR_Y, _BAR_HEIGHT = 24, 15, 33, 6
# References may not press the data into less of the axis than this.
_LEAST_SHARE = 0.35


@dataclasses.dataclass(frozen=True)
class Reference:
    """A vertical line in all strips, such as the return at which a task counts as solved."""

    value: float
    label: str


@dataclasses.dataclass(frozen=True)
class Strip:
    """One row.

    Attributes:
        title: What it shows.
        text: The same in words and numbers.
        look: CSS class of its colour.
        dots: Text -> number; the text appears when pointed at.
        mark: The main number; None where there is none.
        bar: Ends of the interval; None where there is none.
        line: Ends of a thin line on which all the rest lies; None where there is none.
    """

    title: str
    text: str
    look: str
    dots: Mapping[str, float]
    mark: float | None = None
    bar: tuple[float, float] | None = None
    line: tuple[float, float] | None = None

    def numbers(self) -> list[float]:
        """All that must fit on the axis."""
        marks = [] if self.mark is None else [self.mark]
        return [*self.dots.values(), *marks, *(self.bar or ()), *(self.line or ())]


def scale(low: float, high: float, log: bool = False) -> Scale:
    """The axis of strips that show [low, high]."""
    return Scale(low, high, _START, _END, log)


def visible(
    references: Sequence[Reference], data: Sequence[float]
) -> tuple[list[Reference], list[Reference]]:
    """References that leave the data enough of the axis, and those too far away."""
    near: list[Reference] = []
    low, high = min(data), max(data)
    for reference in sorted(references, key=lambda r: max(low - r.value, r.value - high)):
        values = [low, high, reference.value, *(r.value for r in near)]
        wide = max(values) - min(values)
        if high - low >= _LEAST_SHARE * wide or len(set(data)) == 1:
            near.append(reference)
    return near, [r for r in references if r not in near]


def draw(strip: Strip, axis: Scale, references: Sequence[Reference], key: str) -> Markup:
    """One row as SVG."""
    lines = [_vertical(axis(r.value), 0, "100%", "reference") for r in references]
    parts = [*lines, *_interval(strip, axis), *_dots(strip, axis)]
    attributes = {"class_": f"strip {strip.look}", "width": "100%", "height": _HEIGHT}
    return picture(strip.title, strip.text, *parts, key=key, **attributes)


def _interval(strip: Strip, axis: Scale) -> list[Markup]:
    middle = _MIDDLE if strip.line else _BAR_Y
    parts = []
    if strip.line:
        start, end = (percent(axis(value)) for value in strip.line)
        parts.append(element("line", x1=start, x2=end, y1=middle, y2=middle, class_="thin"))
    if strip.bar:
        low, high = (axis(value) for value in strip.bar)
        box = {"x": percent(low), "width": percent(max(high - low, 0.15))}
        y = middle - _BAR_HEIGHT // 2
        parts.append(element("rect", **box, y=y, height=_BAR_HEIGHT, rx=2, class_="bar"))
    if strip.mark is not None:
        parts.append(_vertical(axis(strip.mark), middle - 7, middle + 7, "mark"))
    return parts


def _dots(strip: Strip, axis: Scale) -> list[Markup]:
    """Dots; those that would hide each other are spread upwards and downwards."""
    lanes: dict[int, int] = {}
    parts = []
    for text, value in strip.dots.items():
        place, y = axis(value), float(_MIDDLE)
        if not strip.line:
            near = round(place / 1.2)
            lane = lanes[near] = lanes.get(near, -1) + 1
            offset = ((lane + 1) // 2) * (4.0 if lane % 2 else -4.0)
            y = _DOTS_Y + max(-8.0, min(8.0, offset))
        title = element("title", text)
        parts.append(element("circle", title, cx=percent(place), cy=y, r=4, class_="dot"))
    return parts


def _vertical(place: float, top: float, bottom: float | str, look: str) -> Markup:
    x = percent(place)
    return element("line", x1=x, x2=x, y1=top, y2=bottom, class_=look)


def draw_axis(
    axis: Scale, references: Sequence[Reference], text: Mapping[float, str] | None = None
) -> Markup:
    """The shared axis: ticks, and names of the reference lines.

    Args:
        axis: The scale.
        references: Lines to name.
        text: Tick -> its text; round numbers by default.
    """
    ticks = text or {tick: tick_text(tick) for tick in axis.ticks()}
    parts = [element("line", x1="0", x2="100%", y1=0.5, y2=0.5, class_="axis")]
    for tick, words in ticks.items():
        parts.append(_vertical(axis(tick), 0, 5, "axis"))
        at = {"x": percent(axis(tick)), "y": 18, "text_anchor": "middle"}
        parts.append(element("text", words, **at))
    ordered = sorted(references, key=lambda r: axis(r.value))
    for order, reference in enumerate(ordered):
        parts.append(_reference_name(axis(reference.value), reference.label, order, len(ordered)))
    height = 40 if references else 22
    return element(
        "svg", *parts, class_="strip-axis", width="100%", height=height, aria_hidden="true"
    )


def _reference_name(place: float, label: str, order: int, count: int) -> Markup:
    """A name below the ticks; two that are close lean away from each other."""
    anchor = "middle"
    if place > 75 or (count == 2 and order == 0 and place > 25):
        anchor = "end"
    if place < 25 or (count == 2 and order == 1 and place < 75):
        anchor = "start"
    at = {"x": percent(place), "y": 36, "text_anchor": anchor}
    return element("text", label, **at, class_="reference-name")

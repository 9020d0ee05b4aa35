"""Inline SVG: elements, scales and ticks. Colours, fonts and strokes stand in `report.css`."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

_MOST_TICKS, _FEWEST_TICKS = 6, 3
_CLOSER = 0.75  # ticks may be that much closer than asked for


def element(name: str, *children: str, **attributes: object) -> Markup:
    """An SVG element; text is escaped.

    Args:
        name: Its tag.
        children: Elements (Markup) or text.
        attributes: `class_` becomes class, `text_anchor` text-anchor; None is left out.
    """
    parts = [
        Markup(' {}="{}"').format(key.strip("_").replace("_", "-"), _value(value))
        for key, value in attributes.items()
        if value is not None
    ]
    start = Markup("<{}{}").format(Markup(name), Markup("").join(parts))
    if not children:
        return start + Markup("/>")
    inner = Markup("").join(escape(child) for child in children)
    return start + Markup(">{}</{}>").format(inner, Markup(name))


def _value(value: object) -> str:
    return coordinate(value) if isinstance(value, float) else str(value)


def coordinate(value: float) -> str:
    """A position, to a tenth of a pixel."""
    text = f"{value:.1f}"
    return "0" if text in ("-0.0", "0.0") else text.removesuffix(".0")


def percent(value: float) -> str:
    """A position as a share of the width, so that a chart stretches and its text does not."""
    return f"{value:.2f}%"


def group(children: Iterable[str], **attributes: object) -> Markup:
    """Some elements as one."""
    return element("g", *children, **attributes)


def picture(title: str, text: str, *children: str, key: str, **attributes: object) -> Markup:
    """A whole chart with its text alternative.

    Args:
        title: What it shows.
        text: What there is to see, for those who cannot see it.
        children: The elements.
        key: Unique within the page.
        attributes: Of the `svg` element.
    """
    labels = (
        element("title", title, id=f"{key}-title"),
        element("desc", text, id=f"{key}-text"),
    )
    names = {"aria_labelledby": f"{key}-title", "aria_describedby": f"{key}-text"}
    return element("svg", *labels, *children, role="img", **names, **attributes)


@dataclasses.dataclass(frozen=True)
class Scale:
    """From numbers to positions.

    Attributes:
        low: The number at `start`.
        high: The number at `end`; above `low`.
        start: A position.
        end: A position; may be smaller.
        log: Equal ratios, equal distances; needs `low` > 0.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The position of a number."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(value)
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """About so many round numbers within the scale."""
        if self.log:
            return log_ticks(self.low, self.high)
        return nice_ticks(self.low, self.high, count)


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten that lie within [low, high].

    About `count` of them, never one alone: a number says where it is, and two say how far.
    """
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    steps = [power * m for m in (10, 5, 2, 1, 0.5, 0.2)]
    at = max(place for place, step in enumerate(steps) if step >= _CLOSER * rough)
    ticks = _multiples(low, high, steps[at])
    return ticks if len(ticks) >= _FEWEST_TICKS else _multiples(low, high, steps[at + 1])


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    decimals = max(0, -math.floor(math.log10(step)))
    return [round(k * step, decimals) + 0.0 for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten within [low, high]; fewer where that would be many.

    Where the range holds hardly any of these, round numbers at equal distances.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**p for p in powers for m in digits if low <= m * 10.0**p <= high]
        if len(ticks) <= _MOST_TICKS:
            return ticks if len(ticks) >= _FEWEST_TICKS else nice_ticks(low, high, 4)
    return ticks[:: math.ceil(len(ticks) / _MOST_TICKS)]


def domain(values: Iterable[float], margin: float = 0.06) -> tuple[float, float]:
    """A range that shows all numbers with some room; never empty. NaN is left aside."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    room = (high - low) * margin or max(abs(low) * 0.05, 0.5)
    return low - room, high + room


def tick_text(value: float) -> str:
    """A round number, short: 250, 20k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.10g}{letter}"
    return f"{value:.10g}"


def points(xs: Sequence[float], ys: Sequence[float]) -> str:
    """Corners as the attribute `points`."""
    return " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in zip(xs, ys, strict=True))


def stretches(known: Sequence[bool]) -> list[range]:
    """Unbroken ranges of indices at which something is known."""
    runs = itertools.groupby(range(len(known)), key=lambda index: known[index])
    found = [(ok, list(indices)) for ok, indices in runs]
    return [range(indices[0], indices[-1] + 1) for ok, indices in found if ok]

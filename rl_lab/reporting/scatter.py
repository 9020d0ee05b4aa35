"""Reward against decision time, with the Pareto front."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from markupsafe import Markup

from rl_lab.reporting import text
from rl_lab.reporting.figures import Figure, Key, Missing, Panel, distinct, looks, short
from rl_lab.reporting.stored import Data, Evaluation, mean_of, reason
from rl_lab.reporting.svg import Scale, domain, element, picture, points, tick_text

_LOG_RATIO = 8.0
_SIZE = (420, 320)


@dataclasses.dataclass(frozen=True)
class Point:
    """A contestant in the plane of decision time and reward.

    Attributes:
        name: The contestant.
        look: CSS class of its colour.
        x: 90th percentile of its decision times, microseconds: estimate, low, high.
        y: Its mean return: estimate, low, high.
        on_front: Whether no other is at least as good in both and better in one.
    """

    name: str
    look: str
    x: tuple[float, float, float]
    y: tuple[float, float, float]
    on_front: bool = False


def figure(evaluation: Evaluation) -> Figure:
    """Mean return against decision time, lettered in the order of the leaderboard."""
    look = looks(evaluation.contestants)
    found, missing = [], []
    for contestant in evaluation.contestants:
        name = str(contestant.get("name"))
        x = _ends(evaluation.times(name), ("p90_us", "p90_low_us", "p90_high_us"))
        y = _ends(mean_of(contestant), ("estimate", "low", "high"))
        if x and y:
            found.append(Point(name, look[name], x, y))
        else:
            why = evaluation.times_reason(name) if y else reason(contestant, "reward")
            missing.append(Missing(name, why or "speed.json lacks its p90"))
    placed = front(found)
    panels = [Panel("", _scatter(placed))] if placed else []
    return Figure(
        "Reward against decision time",
        "up is more reward, left is faster. Filled points, joined by the stepped line, are the"
        " Pareto front: nobody else is both faster and better. It is drawn through the"
        " estimates; where the thin bars of two points overlap, their order is not certain.",
        "aside",
        panels,
        keys=[_point_key(place, point) for place, point in enumerate(placed)],
        missing=distinct(missing),
    )


def _ends(data: Data, keys: tuple[str, str, str]) -> tuple[float, float, float] | None:
    middle, low, high = (data.get(key) for key in keys)
    if middle is None:
        return None
    return middle, middle if low is None else low, middle if high is None else high


def front(found: Sequence[Point]) -> list[Point]:
    """The same points, told whether they are on the Pareto front."""

    def beaten(point: Point) -> bool:
        return any(
            other.x[0] <= point.x[0]
            and other.y[0] >= point.y[0]
            and (other.x[0] < point.x[0] or other.y[0] > point.y[0])
            for other in found
        )

    return [dataclasses.replace(point, on_front=not beaten(point)) for point in found]


def letters(place: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    return (letters(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)


def _point_key(place: int, point: Point) -> Key:
    where = "on the front" if point.on_front else "behind the front"
    reward = text.estimate({"estimate": point.y[0]})
    values = f"{reward} at {text.latency(point.x[0])}"
    return Key(point.look, point.name, letters(place), f"{values}, {where}")


def _scatter(placed: Sequence[Point]) -> Markup:
    width, height = _SIZE
    times = [value for point in placed for value in point.x]
    log = min(times) > 0 and max(times) / min(times) >= _LOG_RATIO
    span = (min(times) / 1.3, max(times) * 1.3) if log else domain(times, 0.12)
    x = Scale(*span, 46, width - 14, log)
    y = Scale(*domain([value for point in placed for value in point.y], 0.1), height - 40, 22)
    parts = [*_scatter_axes(x, y), _front_line(placed, x, y)]
    parts += [_spread(point, x, y) for point in placed]
    parts += [_spot(place, point, x, y) for place, point in enumerate(placed)]
    best = ", ".join(short(point.name) for point in placed if point.on_front)
    title = "Mean return against the 90th percentile of decision time"
    view = {"class_": "plot scatter", "viewBox": f"0 0 {width} {height}"}
    return picture(title, f"On the Pareto front: {best}", *parts, key="tradeoff", **view)


def _scatter_axes(x: Scale, y: Scale) -> list[Markup]:
    bottom, right = y.start, x.end
    parts = [element("line", x1=x.start, x2=right, y1=bottom, y2=bottom, class_="axis")]
    for tick in y.ticks(5):
        at = y(tick)
        parts.append(element("line", x1=x.start, x2=right, y1=at, y2=at, class_="grid"))
        place = {"x": x.start - 6, "y": at + 4, "text_anchor": "end"}
        parts.append(element("text", tick_text(tick), **place))
    for tick in x.ticks(4):
        at = x(tick)
        parts.append(element("line", x1=at, x2=at, y1=bottom, y2=bottom + 4, class_="axis"))
        place = {"x": at, "y": bottom + 17, "text_anchor": "middle"}
        parts.append(element("text", text.latency(tick), **place))
    parts.append(element("text", "mean return", x=0, y=11))
    place = {"x": right, "y": bottom + 35, "text_anchor": "end"}
    return [*parts, element("text", "decision time, p90", **place)]


def _front_line(placed: Sequence[Point], x: Scale, y: Scale) -> Markup:
    best = sorted((point for point in placed if point.on_front), key=lambda point: point.x[0])
    xs: list[float] = []
    ys: list[float] = []
    for point in best:
        xs += [x(point.x[0])] * 2
        ys += [ys[-1] if ys else y.start, y(point.y[0])]
    return element("polyline", points=points([*xs, x.end], [*ys, ys[-1]]), class_="front-line")


def _spread(point: Point, x: Scale, y: Scale) -> Markup:
    (at_x, left, right), (at_y, low, high) = map(x, point.x), map(y, point.y)
    flat = element("line", x1=left, x2=right, y1=at_y, y2=at_y, class_="thin")
    upright = element("line", x1=at_x, x2=at_x, y1=low, y2=high, class_="thin")
    return element("g", flat, upright, class_=point.look)


def _spot(place: int, point: Point, x: Scale, y: Scale) -> Markup:
    at_x, at_y = x(point.x[0]), y(point.y[0])
    words = f"{short(point.name)}: {point.y[0]:.6g} at {text.latency(point.x[0])}"
    disc = element("circle", element("title", words), cx=at_x, cy=at_y, r=9, class_="spot")
    letter = element(
        "text", letters(place), x=at_x, y=at_y + 4, text_anchor="middle", class_="letter"
    )
    return element(
        "g", disc, letter, class_=f"{point.look} {'front' if point.on_front else 'behind'}"
    )

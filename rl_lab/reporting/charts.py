"""Figures with one row or one point per contestant: reward, decision times, and both."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from rl_lab.reporting import strips, text
from rl_lab.reporting.figures import Figure, Key, Missing, Panel, distinct, looks, short
from rl_lab.reporting.stored import Data, Evaluation, block, reason
from rl_lab.reporting.strips import Reference, Strip
from rl_lab.reporting.svg import Scale, domain, element, picture, points, tick_text

_LOG_RATIO = 8.0
_SIZE = (420, 320)
_PERCENTILES = ("p50_us", "p90_us", "p99_us")


def reward(evaluation: Evaluation) -> Figure:
    """Mean return of every training seed, with the interval of the mean."""
    look = looks(evaluation.contestants)
    rows: list[tuple[str, str, Strip]] = []
    missing = []
    for contestant in evaluation.contestants:
        name = str(contestant.get("name"))
        strip = _reward_strip(contestant, look[name])
        if isinstance(strip, Strip):
            mean = {"estimate": None, "low": None, "high": None, **_mean(contestant)}
            rows.append((name, text.estimate_text(mean), strip))
        else:
            missing.append(Missing(name, strip))
    figure = Figure(
        "Mean return, one dot per training seed",
        "each dot is one training seed, averaged over the same evaluation episodes; the upright"
        " mark is the mean over seeds and the bar its 95% interval. Bars that overlap do not"
        " prove equality: the leaderboard compares pairs.",
        "strips",
        panels=(),
        missing=distinct(missing),
    )
    return _with_strips(figure, rows, _anchors(evaluation), "mean return", "reward")


def _anchors(evaluation: Evaluation) -> list[Reference]:
    anchors = block(evaluation.scores, "anchors")
    known = [(name, anchors.get(name)) for name in ("random", "solved")]
    return [Reference(value, f"{name} {value:g}") for name, value in known if value is not None]


def _mean(contestant: Data) -> Data:
    return block(block(contestant, "reward"), "mean")


def _reward_strip(contestant: Data, look: str) -> Strip | str:
    reward, mean = block(contestant, "reward"), _mean(contestant)
    seeds = {s: v for s, v in block(reward, "per_seed").items() if v is not None}
    if not seeds and mean.get("estimate") is None:
        return reason(contestant, "reward")
    name = short(str(contestant.get("name")))
    low, high = mean.get("low"), mean.get("high")
    values = ", ".join(f"seed {s}: {v:.6g}" for s, v in seeds.items())
    return Strip(
        f"Mean return of {name}",
        f"{mean.get('label') or ''}. {values}",
        look,
        {f"seed {s}: {v:.6g}": float(v) for s, v in seeds.items()},
        mark=mean.get("estimate"),
        bar=(low, high) if low is not None and high is not None else None,
    )


def decision_times(evaluation: Evaluation) -> Figure:
    """Percentiles of the time of one decision."""
    look = looks(evaluation.contestants)
    rows, missing, deadlines = [], [], set()
    for contestant in evaluation.contestants:
        name = str(contestant.get("name"))
        times = evaluation.times(name)
        values = [times.get(key) for key in _PERCENTILES]
        if any(value is None for value in values):
            why = evaluation.times_reason(name) or "speed.json lacks its percentiles"
            missing.append(Missing(name, why))
            continue
        p50, p90, p99 = map(float, values)  # type: ignore[arg-type]
        spelled = f"p50 {p50:g}, p90 {p90:g}, p99 {p99:g} microseconds"
        dots = {f"p50: {p50:g} µs": p50, f"p90: {p90:g} µs": p90}
        low, high = times.get("p90_low_us"), times.get("p90_high_us")
        bar = (low, high) if low is not None and high is not None else None
        title = f"Decision time of {short(name)}"
        strip = Strip(title, spelled, look[name], dots, mark=p99, bar=bar, line=(p50, p99))
        rows.append((name, f"{text.latency(p50)} · {text.latency(p90)} · {text.latency(p99)}", strip))
        if times.get("deadline_us") is not None:
            deadlines.add(float(times["deadline_us"]))
    figure = Figure(
        "Time of one decision: p50, p90, p99",
        "the two dots are the median and the 90th percentile, the upright mark is the 99th; the"
        " bar spans the 90th percentile of the separate processes that measured. Left is faster.",
        "strips",
        panels=(),
        missing=distinct(missing),
    )
    references = [Reference(us, f"deadline {text.latency(us)}") for us in sorted(deadlines)]
    return _with_strips(figure, rows, references, "time of one decision", "times")


def _with_strips(
    figure: Figure,
    rows: Sequence[tuple[str, str, Strip]],
    references: Sequence[Reference],
    label: str,
    key: str,
) -> Figure:
    """Put rows (name, value, strip) on one axis."""
    if not rows:
        return figure
    data = [number for _, _, strip in rows for number in strip.numbers()]
    times = key == "times"
    # Times span orders of magnitude and have their deadline in sight; returns may be negative.
    shown, left_out = (list(references), []) if times else strips.visible(references, data)
    axis, ticks = _strip_scale([*data, *(r.value for r in shown)], log=times)
    panels = [
        Panel(name, strips.draw(strip, axis, shown, f"{key}-{place}"), value, strip.look)
        for place, (name, value, strip) in enumerate(rows)
    ]
    drawn = strips.draw_axis(axis, shown, label, ticks)
    missing = [*figure.missing, *(Missing(r.label, "outside the axis") for r in left_out)]
    return dataclasses.replace(figure, panels=panels, axis=drawn, missing=missing)


def _strip_scale(values: Sequence[float], log: bool) -> tuple[Scale, Mapping[float, str] | None]:
    low, high = min(values), max(values)
    if not log or low <= 0:
        return strips.scale(*domain(values, 0.02)), None
    if high / low < _LOG_RATIO:
        scale = strips.scale(*domain([0.0, *values], 0.02))
    else:
        scale = strips.scale(low / 1.15, high * 1.15, log=True)
    return scale, {tick: text.latency(tick) if tick else "0" for tick in scale.ticks() if tick >= 0}


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


def trade_off(evaluation: Evaluation) -> tuple[Figure, list[Point]]:
    """Reward against decision time, and its points in the order of the leaderboard."""
    look = looks(evaluation.contestants)
    found, missing = [], []
    for contestant in evaluation.contestants:
        name = str(contestant.get("name"))
        x = _ends(evaluation.times(name), ("p90_us", "p90_low_us", "p90_high_us"))
        y = _ends(_mean(contestant), ("estimate", "low", "high"))
        if x and y:
            found.append(Point(name, look[name], x, y))
        else:
            why = evaluation.times_reason(name) if y else reason(contestant, "reward")
            missing.append(Missing(name, why or "speed.json lacks its p90"))
    placed = front(found)
    panels = [Panel("", _scatter(placed))] if placed else []
    figure = Figure(
        "Reward against decision time",
        "up is more reward, left is faster. Filled points, joined by the stepped line, are the"
        " Pareto front: nobody else is both faster and better. It is drawn through the"
        " estimates; where the thin bars of two points overlap, their order is not certain.",
        "scatter",
        panels,
        keys=[_point_key(place, point) for place, point in enumerate(placed)],
        missing=distinct(missing),
    )
    return figure, placed


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
    return Key(f"{point.look} {'front' if point.on_front else ''}", f"{point.name}", letters(place) + f"|{where}")


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
        parts.append(element("text", tick_text(tick), **place, class_="tick"))
    for tick in x.ticks(4):
        at = x(tick)
        parts.append(element("line", x1=at, x2=at, y1=bottom, y2=bottom + 4, class_="axis"))
        place = {"x": at, "y": bottom + 17, "text_anchor": "middle"}
        parts.append(element("text", text.latency(tick), **place, class_="tick"))
    parts.append(element("text", "mean return", x=0, y=11, class_="label"))
    place = {"x": right, "y": bottom + 35, "text_anchor": "end"}
    return [*parts, element("text", "decision time, p90", **place, class_="label")]


def _front_line(placed: Sequence[Point], x: Scale, y: Scale) -> Markup:
    best = sorted((point for point in placed if point.on_front), key=lambda point: point.x[0])
    xs, ys = [], []
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
    letter = element("text", letters(place), x=at_x, y=at_y + 4, text_anchor="middle", class_="letter")
    return element("g", disc, letter, class_=f"{point.look} {'front' if point.on_front else 'behind'}")

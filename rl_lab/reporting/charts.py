"""Figures with one row per contestant: reward, decision times."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from rl_lab import seeding
from rl_lab.reporting import strips, text
from rl_lab.reporting.figures import Figure, Missing, Panel, distinct, looks, short
from rl_lab.reporting.stored import Data, Evaluation, block, mean_of, reason
from rl_lab.reporting.strips import Reference, Strip
from rl_lab.reporting.svg import Scale, domain

_LOG_RATIO = 8.0
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
            rows.append((name, text.estimate(mean_of(contestant)), strip))
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


def _reward_strip(contestant: Data, look: str) -> Strip | str:
    reward, mean = block(contestant, "reward"), mean_of(contestant)
    seeds = {s: v for s, v in block(reward, "per_seed").items() if v is not None}
    if not seeds and mean.get("estimate") is None:
        return reason(contestant, "reward")
    name = short(str(contestant.get("name")))
    low, high = mean.get("low"), mean.get("high")
    values = ", ".join(f"seed {seeding.shown(s)}: {v:.6g}" for s, v in seeds.items())
    return Strip(
        f"Mean return of {name}",
        f"{mean.get('label') or ''}. {values}",
        look,
        {f"seed {seeding.shown(s)}: {v:.6g}": float(v) for s, v in seeds.items()},
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
            why = evaluation.times_reason(name) or _lacking(times)
            missing.append(Missing(name, why))
            continue
        p50, p90, p99 = map(float, values)  # type: ignore[arg-type]
        spelled = f"p50 {p50:g}, p90 {p90:g}, p99 {p99:g} microseconds"
        dots = {f"p50: {p50:g} µs": p50, f"p90: {p90:g} µs": p90}
        low, high = times.get("p90_low_us"), times.get("p90_high_us")
        bar = (low, high) if low is not None and high is not None else None
        title = f"Decision time of {short(name)}"
        strip = Strip(title, spelled, look[name], dots, mark=p99, bar=bar, line=(p50, p99))
        rows.append(
            (name, f"{text.latency(p50)} · {text.latency(p90)} · {text.latency(p99)}", strip)
        )
        if times.get("deadline_us") is not None:
            deadlines.add(float(times["deadline_us"]))
    figure = Figure(
        "Time of one decision: p50, p90, p99",
        "the two dots are the median and the 90th percentile, the upright mark is the 99th; the"
        " bar shows how much the 90th differs between the processes that measured. Left is"
        " faster.",
        "strips",
        panels=(),
        missing=distinct(missing),
    )
    references = [Reference(us, f"deadline {text.latency(us)}") for us in sorted(deadlines)]
    return _with_strips(figure, rows, references, "time of one decision", "times")


def _lacking(times: Data) -> str:
    """Why one of the percentiles is missing, as stored beside it."""
    reasons = [times.get(f"{key}_reason") for key in _PERCENTILES if times.get(key) is None]
    return str(next(filter(None, reasons), "speed.json lacks its percentiles"))


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
    drawn = strips.draw_axis(axis, shown, ticks)
    missing = [*figure.missing, *(Missing(r.label, "it lies outside the axis") for r in left_out)]
    return dataclasses.replace(figure, panels=panels, axis=drawn, axis_label=label, missing=missing)


def _strip_scale(values: Sequence[float], log: bool) -> tuple[Scale, Mapping[float, str] | None]:
    low, high = min(values), max(values)
    if not log or low <= 0:
        return strips.scale(*domain(values, 0.02)), None
    if high / low < _LOG_RATIO:
        scale = strips.scale(*domain([0.0, *values], 0.02))
    else:
        scale = strips.scale(low / 1.15, high * 1.15, log=True)
    return scale, {tick: text.latency(tick) if tick else "0" for tick in scale.ticks() if tick >= 0}

"""Figures of speed beyond single decisions: the tail, batches, and a server under load."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from rl_lab.reporting import lines, text
from rl_lab.reporting.arranging import Line, arranged, size_of
from rl_lab.reporting.figures import Figure, Missing, distinct, looks, short
from rl_lab.reporting.lines import Axes, Series, Tick
from rl_lab.reporting.stored import Data, Evaluation, block, reason
from rl_lab.reporting.svg import tick_text

# Percentages by their number of nines: the tail, which breaks deadlines, gets the room.
_NINES = {0.0: "0", 50.0: "50", 90.0: "90", 99.0: "99", 99.9: "99.9", 99.99: "99.99"}
_BATCHES = (1, 8, 64, 512, 4096)


def distribution(evaluation: Evaluation) -> Figure:
    """Decision time at each percentile."""
    figure = Figure(
        "All decision times, tail to the right",
        "the height above 99 is what one decision in a hundred exceeds. A flat line is a policy"
        " that always takes as long; where it shoots up, some decisions are late.",
        "single",
        (),
    )
    drawn, missing = _lines(evaluation, "distribution", _percentiles)
    ticks = [Tick(_nines(percent), words) for percent, words in _NINES.items()]
    return _finished(figure, drawn, missing, ticks, "percentile", "one decision", "tail")


def _nines(percent: float) -> float:
    return -math.log10(1 - percent / 100)


def _percentiles(found: Data) -> tuple[list[float], list[float], str]:
    pairs = zip(found["percent"], found["us"], strict=True)
    pairs_below = [(p, us) for p, us in pairs if p < 100 and us is not None and us > 0]
    xs, ys = [_nines(p) for p, _ in pairs_below], [float(us) for _, us in pairs_below]
    return xs, ys, f"from {text.latency(ys[0])} to {text.latency(ys[-1])}"


def load(evaluation: Evaluation) -> Figure:
    """Response time of a server under rising load, against the deadline."""
    figure = Figure(
        "Response time under load",
        "requests arrive at random, at a rising share of what the policy could at most answer;"
        " the line is the time that 1 in 100 exceeds, waiting included. Where it crosses the"
        " deadline, the policy is too slow for that many requests.",
        "single",
        (),
    )
    drawn, missing = _lines(evaluation, "server", _levels)
    ticks = [Tick(share, f"{share:.0%}") for share in (0.1, 0.3, 0.5, 0.7, 0.9)]
    deadlines = {
        float(times["deadline_us"])
        for times in (evaluation.times(line.name) for line in drawn)
        if times.get("deadline_us")
    }
    references = [(us, f"deadline {text.latency(us)}") for us in sorted(deadlines)]
    return _finished(figure, drawn, missing, ticks, "load", "p99", "load", references)


def _levels(found: Data) -> tuple[list[float], list[float], str]:
    levels = [level for level in found["levels"] if level.get("p99_us")]
    xs = [float(level["load"]) for level in levels]
    rate, limit = found.get("max_rate_per_s"), found.get("limited_by")
    limit = "other work on the machine" if limit == "disturbance" else limit
    words = f"{rate:,.0f} per second, limited by {limit}" if rate is not None else ""
    return xs, [float(level["p99_us"]) for level in levels], words


def batches(evaluation: Evaluation) -> Figure:
    """Decisions per second by batch size."""
    figure = Figure(
        "Decisions per second by batch",
        "to the right more observations are decided in one call. A line that rises like the"
        " diagonal uses the batch fully; where it bends, the processor is full.",
        "aside",
        (),
    )
    drawn, missing = _lines(evaluation, "offline", _rates)
    ticks = [Tick(size, f"{size:,}") for size in _BATCHES]
    return _finished(figure, drawn, missing, ticks, "observations per call", "per second", "batch")


def _rates(found: Data) -> tuple[list[float], list[float], str]:
    xs, ys = ([float(v) for v in found[key]] for key in ("batch_sizes", "decisions_per_s"))
    best, knee = found.get("max_decisions_per_s"), found.get("knee")
    words = f"up to {best:,.0f} per second" if best is not None else ""
    return xs, ys, words + (f", 90% from {knee:,} on" if knee is not None else "")


def _lines(
    evaluation: Evaluation, key: str, read: Callable[[Data], tuple[list[float], list[float], str]]
) -> tuple[list[Line], list[Missing]]:
    """A line per contestant from a block of `speed.json`, and who has none."""
    look = looks(evaluation.contestants)
    drawn, missing = [], []
    for contestant in evaluation.contestants:
        name = str(contestant.get("name"))
        times = evaluation.times(name)
        try:
            xs, ys, words = read(block(times, key))
        except (KeyError, TypeError, ValueError, IndexError):
            why = evaluation.times_reason(name) or reason(times, key).replace("scores", "speed")
            missing.append(Missing(name, why))
            continue
        if not xs:
            missing.append(Missing(name, "speed.json holds no numbers for it"))
            continue
        nothing = [math.nan] * len(xs)
        series = Series(look[name], xs, ys, nothing, nothing, dots=len(xs) <= 16)
        drawn.append(Line(name, series, f"{short(name)}: {words}", words))
    return drawn, missing


def _finished(
    figure: Figure,
    drawn: Sequence[Line],
    missing: Sequence[Missing],
    ticks: Sequence[Tick],
    x_label: str,
    y_label: str,
    key: str,
    references: Sequence[tuple[float, str]] = (),
) -> Figure:
    figure = dataclasses.replace(figure, missing=distinct(missing))
    if not drawn:
        return figure
    series = [line.series for line in drawn]
    xs = [x for one in series for x in one.x]
    batch = key == "batch"
    low, high = lines.positive_span(series, [value for value, _ in references])
    axes = Axes(
        (min(xs), max(xs)) if min(xs) < max(xs) else (min(xs) / 2, max(xs) * 2 or 1.0),
        (low, high),
        [tick for tick in ticks if min(xs) <= tick.at <= max(xs)],
        x_label,
        y_label,
        references=references,
        size=size_of(series),
        log=(batch, True),
        y_text=tick_text if batch else text.latency,
    )
    return arranged(figure, drawn, axes, key)

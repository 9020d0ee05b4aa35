"""A study's page: how the search went, what mattered, and reward against decision time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import files, paths
from rl_lab.reporting import lines, studies, text
from rl_lab.reporting.figures import Figure, Key, Panel, short
from rl_lab.reporting.lines import Axes, Series
from rl_lab.reporting.page import page
from rl_lab.reporting.scatter import Point, front
from rl_lab.reporting.svg import domain, element, picture
from rl_lab.reporting.tables import Cell, Column, Table, number, numbers, table, transposed, words

_SIZE = (640, 300)
_MOST_BARS, _BAR_PX = 12, 24
_TRIAL, _BEST, _GIVEN_UP = "s0", "s1", "s2"
Data = Mapping[str, Any]


def write(folder: Path) -> Path:
    """Write `study.html` from `study.json`; equal files give equal bytes.

    Raises:
        BadInput: There is no `study.json`, or it is of another format.
        Failed: The page cannot be written.
    """
    path = folder / "study.html"
    files.write_bytes(path, render(studies.load(folder)).encode("utf-8", errors="replace"))
    return path


def render(study: Data) -> str:
    """The page as text."""
    trials = sorted(study["trials"], key=lambda t: t["number"])
    winner = study.get("winner")
    content = {
        "study": study,
        "counts": _counts(trials),
        "winner": _winner(winner) if winner else None,
        "report": f"{winner['evaluation']}/{paths.REPORT}" if winner else None,
        "figures": [f for f in (_history(trials), _importance(study), _front(trials)) if f],
        "no_importance": "" if study.get("importance") else _no_importance(trials),
        "trials": _trials(trials),
        "failures": [(t["number"], str(t["error"])) for t in trials if t["error"]],
    }
    return page("study.html.jinja", content)


def _counts(trials: Sequence[Data]) -> str:
    counted = [t for t in trials if t["counts"]]
    states = [str(t["state"]) for t in counted]
    told = {"complete": "with a value", "pruned": "given up early", "fail": "failed"}
    parts = [f"{states.count(s)} {text}" for s, text in told.items() if states.count(s)]
    return f"{len(counted)} trials: {', '.join(parts) or 'none finished'}"


def _winner(winner: Data) -> Table:
    columns = [Column("value of", kind="name"), Column("is", kind="text")]
    rows = [[words(key), words(_short(value))] for key, value in winner["values"].items()]
    how = "these are the overrides that make the winner out of the untuned training."
    return table("winner", "What the winner was trained with", columns, rows, how)


def _trials(trials: Sequence[Data]) -> Table:
    """The trials with a value, best first."""
    found = _valued(trials)
    found.sort(key=lambda t: -t["objectives"][0])
    none = ["not an objective"] * len(found)
    cells = [
        [number(t["number"], str, "") for t in found],
        numbers([t["objectives"][0] for t in found], none),
        [words(", ".join(f"{value:.5g}" for value in t["returns"] or [])) for t in found],
        [words(_values(t)) for t in found],
    ]
    columns = [
        Column("trial"),
        Column("return", "what was searched for"),
        Column("each seed", kind="text"),
        Column("values", kind="text"),
    ]
    if any(len(t["objectives"]) > 1 for t in found):
        cells.insert(2, [_time(t, why) for t, why in zip(found, none, strict=True)])
        columns.insert(2, Column("decision", "p50", stored="µs"))
    how = (
        "the best stands first. Its return was picked as the highest of many, and so is too high;"
        " only fresh seeds say how good it is."
    )
    made = table("trials", "Trials with a value", columns, transposed(cells), how)
    return dataclasses.replace(made, empty="no trial has one")


def _time(trial: Data, why: str) -> Cell:
    rest = trial["objectives"][1:]
    return number(rest[0] if rest else None, text.latency, why)


def _values(trial: Data) -> str:
    return ", ".join(f"{k.removeprefix('agent.')}={_short(v)}" for k, v in trial["values"].items())


def _valued(trials: Sequence[Data]) -> list[Data]:
    return [t for t in trials if t["objectives"] and t["state"] == "complete"]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _series(look: str, points: Sequence[tuple[float, float]], joined: bool, dots: bool) -> Series:
    nothing = [math.nan] * len(points)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return Series(look, xs, ys, nothing, nothing, dots, joined)


def _axes(series: Sequence[Series], x_label: str, y_label: str) -> Axes:
    axes = lines.axes(series, x_label, y_label, _SIZE, 1.0)
    return dataclasses.replace(axes, x=domain([x for one in series for x in one.x]))


def _history(trials: Sequence[Data]) -> Figure | None:
    """Each trial's return, and the best so far."""
    found = [(t["number"], t["objectives"][0]) for t in _valued(trials)]
    if not found:
        return None
    given_up = [
        (t["number"], t["checks"][-1][1]) for t in trials if t["state"] == "pruned" and t["checks"]
    ]
    tops = [max(y for _, y in found[: i + 1]) for i in range(len(found))]
    steps = _stepped([(x, top) for (x, _), top in zip(found, tops, strict=True)])
    series = [
        _series(_BEST, steps, joined=True, dots=False),
        *([_series(_GIVEN_UP, given_up, joined=False, dots=True)] if given_up else []),
        _series(_TRIAL, found, joined=False, dots=True),
    ]
    axes = _axes(series, "trial", "return")
    whole = [tick for tick in axes.x_ticks if float(tick.at).is_integer()]
    axes = dataclasses.replace(axes, x_ticks=whole)
    said = f"The best of {len(found)} trials has {tops[-1]:.5g}."
    keys = [Key(_TRIAL, "a trial"), Key(_BEST, "the best so far")]
    if given_up:
        keys.append(Key(_GIVEN_UP, "given up at that value"))
    return Figure(
        "History",
        "dots are trials, the line is the best so far. These returns chose the winner, so its own"
        " is too high: the comparison on fresh seeds is not.",
        "aside",
        [Panel("", lines.draw(series, axes, "History", said, "history"))],
        keys=keys,
    )


def _stepped(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same points with a corner before each."""
    before = [points[0], *points]
    return [c for (_, y), (x, new) in zip(before, points, strict=False) for c in ((x, y), (x, new))]


def _importance(study: Data) -> Figure | None:
    shares = study.get("importance")
    if not shares:
        return None
    width, _ = _SIZE
    names = sorted(shares, key=lambda name: -shares[name])[:_MOST_BARS]
    top = max(shares.values()) or 1.0
    bars = []
    for place, name in enumerate(names):
        y, length = place * _BAR_PX, (width - 330) * shares[name] / top
        label = name if len(name) <= 32 else name[:31] + "…"
        bars.append(element("text", label, x=250, y=y + 12, text_anchor="end"))
        bars.append(
            element("rect", x=260, y=y, width=float(length), height=16, class_=f"bar {_TRIAL}")
        )
        bars.append(element("text", f"{shares[name]:.2f}", x=float(268 + length), y=y + 12))
    said = ", ".join(f"{short(name)} {shares[name]:.2f}" for name in names)
    box = f"0 0 {width} {len(names) * _BAR_PX}"
    drawing = picture("Importance", said, *bars, key="importance", class_="plot", viewBox=box)
    how = (
        "the longer a bar, the more of the return's variation among good trials that value"
        " explains (PED-ANOVA)."
    )
    return Figure("Importance", how, "aside", [Panel("", drawing)])


def _no_importance(trials: Sequence[Data]) -> str:
    """Why it is not known what mattered."""
    returns = [t["objectives"][0] for t in _valued(trials)]
    if len(returns) < 2:
        return "fewer than two trials have a value"
    if len(set(returns)) == 1:
        return f"all {len(returns)} trials with a value have the same return"
    return "too few trials have a value"


def _front(trials: Sequence[Data]) -> Figure | None:
    """Reward against decision time, where both were objectives."""
    found = [
        Point(str(t["number"]), _TRIAL, (time, time, time), (reward, reward, reward))
        for t in _valued(trials)
        if len(t["objectives"]) == 2
        for reward, time in [t["objectives"]]
    ]
    if not found:
        return None
    placed = front(found)
    best = sorted((p.x[0], p.y[0]) for p in placed if p.on_front)
    series = [
        _series(_BEST, _stepped(best), joined=True, dots=False),
        _series(_TRIAL, [(p.x[0], p.y[0]) for p in placed], joined=False, dots=True),
    ]
    axes = _axes(series, "decision time, µs", "return")
    said = f"{len(best)} of {len(found)} trials are on the front."
    return Figure(
        "Reward against decision time",
        "up is more reward, left is faster. Trials on the stepped line are the Pareto front: no"
        " other is both faster and better.",
        "aside",
        [Panel("", lines.draw(series, axes, "Reward against decision time", said, "front"))],
        keys=[Key(_TRIAL, "a trial"), Key(_BEST, "the Pareto front")],
    )

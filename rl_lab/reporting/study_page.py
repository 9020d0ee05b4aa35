"""A study's page: how the search went, what mattered, and reward against decision time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from rl_lab import files, paths
from rl_lab.reporting import studies
from rl_lab.reporting.page import policy
from rl_lab.reporting.svg import Scale, domain, element, picture, points, tick_text

_HERE = Path(__file__).resolve().parent
_SIZE, _LEFT, _BOTTOM = (640, 300), 70, 40
Data = Mapping[str, Any]


def write(folder: Path) -> Path:
    """Write `study.html` from `study.json`; equal files give equal bytes.

    Raises:
        BadInput: There is no `study.json`, or it is of another format.
        Failed: The page cannot be written.
    """
    page = render(studies.load(folder))
    path = folder / "study.html"
    files.write_bytes(path, page.encode("utf-8", errors="replace"))
    return path


def render(study: Data) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    style = (_HERE / "report.css").read_text(encoding="utf-8")
    trials = sorted(study["trials"], key=lambda t: t["number"])
    return environment.get_template("study.html.jinja").render(
        style=Markup(style),
        policy=policy(style, ""),
        study=study,
        counts=_counts(trials),
        figures=[f for f in (_history(trials), _importance(study), _front(trials)) if f],
        rows=_rows(trials),
        report=_report(study),
    )


def _report(study: Data) -> str | None:
    winner = study.get("winner")
    return f"{winner['evaluation']}/{paths.REPORT}" if winner else None


def _counts(trials: Sequence[Data]) -> str:
    counted = [t for t in trials if t["counts"]]
    states = [str(t["state"]) for t in counted]
    told = {"complete": "with a value", "pruned": "given up early", "fail": "failed"}
    parts = [f"{states.count(s)} {text}" for s, text in told.items() if states.count(s)]
    return f"{len(counted)} trials: {', '.join(parts) or 'none finished'}"


def _rows(trials: Sequence[Data]) -> list[list[str]]:
    """The trials with a value, best first."""
    found = [t for t in trials if t["objectives"] and t["state"] == "complete"]
    found.sort(key=lambda t: -t["objectives"][0])
    return [
        [
            str(t["number"]),
            " / ".join(f"{value:.5g}" for value in t["objectives"]),
            ", ".join(f"{value:.5g}" for value in t["returns"] or []),
            ", ".join(f"{k.removeprefix('agent.')}={_short(v)}" for k, v in t["values"].items()),
        ]
        for t in found
    ]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _axes(x: Scale, y: Scale, x_name: str, y_name: str) -> list[Markup]:
    width, height = _SIZE
    made = []
    for tick in x.ticks():
        made.append(
            element("text", tick_text(tick), x=x(tick), y=height - 18, text_anchor="middle")
        )
    for tick in y.ticks():
        line = {"x1": _LEFT, "x2": width - 10, "y1": y(tick), "y2": y(tick)}
        made.append(element("line", stroke="var(--rule)", **line))
        made.append(element("text", tick_text(tick), x=_LEFT - 8, y=y(tick) + 4, text_anchor="end"))
    made.append(element("text", x_name, x=width - 10, y=height - 2, text_anchor="end"))
    made.append(element("text", y_name, x=2, y=12))
    return made


def _plane(xs: Sequence[float], ys: Sequence[float], log: bool = False) -> tuple[Scale, Scale]:
    width, height = _SIZE
    low, high = (min(xs) * 0.9, max(xs) * 1.1) if log else domain(xs)
    x = Scale(low, high, _LEFT, width - 10, log=log)
    return x, Scale(*domain(ys), height - _BOTTOM, 24)


def _svg(title: str, text: str, key: str, *children: Markup) -> Markup:
    box = f"0 0 {_SIZE[0]} {_SIZE[1]}"
    style = {"font_size": "13", "fill": "var(--ink)", "width": "100%"}
    return picture(title, text, *children, key=key, viewBox=box, **style)


def _figure(title: str, how: str, drawing: Markup) -> dict[str, Any]:
    return {"title": title, "how": how, "drawing": drawing}


def _history(trials: Sequence[Data]) -> dict[str, Any] | None:
    """Each trial's return, and the best so far."""
    found = [t for t in trials if t["objectives"] and t["state"] == "complete"]
    if not found:
        return None
    xs, ys = [t["number"] for t in found], [t["objectives"][0] for t in found]
    given_up = [t for t in trials if t["state"] == "pruned" and t["checks"]]
    x, y = _plane([t["number"] for t in trials], [*ys, *(t["checks"][-1][1] for t in given_up)])
    tops = [max(ys[: i + 1]) for i in range(len(ys))]
    steps = [(a, b) for i, a in enumerate(xs) for b in ([tops[i - 1]] if i else []) + [tops[i]]]
    line = points([x(a) for a, _ in steps], [y(b) for _, b in steps])
    dots = [
        element("circle", cx=x(a), cy=y(b), r=4, fill="var(--s0)")
        for a, b in zip(xs, ys, strict=True)
    ]
    hollow = [
        element(
            "circle",
            cx=x(t["number"]),
            cy=y(t["checks"][-1][1]),
            r=3,
            fill="none",
            stroke="var(--muted)",
        )
        for t in given_up
    ]
    best = element("polyline", points=line, fill="none", stroke="var(--s1)", stroke_width=2)
    text = f"The best of {len(found)} trials has {max(ys):.5g}."
    drawing = _svg(
        "History", text, "history", *_axes(x, y, "trial", "return"), best, *hollow, *dots
    )
    how = (
        "Dots are trials, hollow ones were given up at that value; the line is the best so far."
        " These returns chose the winner, so its own is too high: the comparison below is not."
    )
    return _figure("History", how, drawing)


def _importance(study: Data) -> dict[str, Any] | None:
    shares = study.get("importance")
    if not shares:
        return None
    width, _ = _SIZE
    names = sorted(shares, key=lambda name: -shares[name])[:12]
    top, room = max(shares.values()) or 1.0, 24
    bars = []
    for i, name in enumerate(names):
        y, length = 20 + i * room, (width - 330) * shares[name] / top
        bars.append(element("text", name, x=250, y=y + 12, text_anchor="end"))
        bars.append(element("rect", x=260, y=y, width=float(length), height=16, fill="var(--s0)"))
        bars.append(element("text", f"{shares[name]:.2f}", x=float(268 + length), y=y + 12))
    drawing = picture(
        "Importance",
        f"{names[0]} matters most.",
        *bars,
        key="importance",
        viewBox=f"0 0 {width} {30 + len(names) * room}",
        width="100%",
        font_size="13",
        fill="var(--ink)",
    )
    how = "Share of the return's variation among good trials that each value explains (PED-ANOVA)."
    return _figure("Importance", how, drawing)


def _front(trials: Sequence[Data]) -> dict[str, Any] | None:
    """Reward against decision time, where both were objectives."""
    found = [t for t in trials if t["objectives"] and len(t["objectives"]) == 2]
    if not found:
        return None
    pairs = [(t["objectives"][1], t["objectives"][0]) for t in found]
    front = [p for p in pairs if not any(_beats(other, p) for other in pairs)]
    x, y = _plane([p[0] for p in pairs], [p[1] for p in pairs])
    dots = [
        element(
            "circle",
            cx=x(a),
            cy=y(b),
            r=4,
            fill="var(--s0)" if (a, b) in front else "none",
            stroke="var(--s0)",
        )
        for a, b in pairs
    ]
    line = points([x(a) for a, _ in sorted(front)], [y(b) for _, b in sorted(front)])
    joined = element("polyline", points=line, fill="none", stroke="var(--s1)", stroke_width=2)
    text = f"{len(front)} of {len(pairs)} trials are on the front."
    axes = _axes(x, y, "decision time, microseconds", "return")
    drawing = _svg("Reward against decision time", text, "front", *axes, joined, *dots)
    how = "Up is more reward, left is faster. Filled: no other trial is better in both."
    return _figure("Reward against decision time", how, drawing)


def _beats(one: tuple[float, float], two: tuple[float, float]) -> bool:
    return one != two and one[0] <= two[0] and one[1] >= two[1] and math.isfinite(one[1])

"""Rows as tables in the terminal, once or every second."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from rl_lab import paths
from rl_lab.listing.found import (
    COMPLETE,
    RUNNING,
    STALE,
    UNFINISHED,
    UNREADABLE,
    EvaluationRow,
    PolicyRow,
    Rows,
    RunRow,
)
from rl_lab.listing.scanning import Scanner

_COLOURS = {
    RUNNING: "cyan",
    COMPLETE: "green",
    "interrupted": "yellow",
    STALE: "yellow",
    UNFINISHED: "yellow",
    "failed": "red",
    UNREADABLE: "red",
}
_NOTE_WIDTH = 200
_FOLDED_ROWS = 200  # of a table that is laid out to the width of the terminal
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))
_PREFIXES = (("G", 1e9), ("M", 1e6), ("k", 1e4))


def table(found: Rows) -> Group:
    """One table for each kind of thing that was found, as something rich can print."""
    runs, policies, evaluations = found
    parts: list[RenderableType] = []
    for made in (
        _runs(runs) if runs else None,
        _policies(policies) if policies else None,
        _evaluations(evaluations) if evaluations else None,
    ):
        if made is not None:
            parts += [made, ""]
    return Group(*parts[:-1])


def watch(folder: Path, console: Console, interval_s: float = 1.0) -> None:
    """Show the tables, renewed every second, the running runs first; Ctrl-C ends it."""
    scanner = Scanner()
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(table(_running_first(scanner.rows(folder))), refresh=True)
                time.sleep(interval_s)
    except KeyboardInterrupt:
        return


def _running_first(found: Rows) -> Rows:
    return sorted(found[0], key=lambda run: run.status != RUNNING), found[1], found[2]


def _runs(found: list[RunRow]) -> Group:
    left = ["status", "environment", "agent"]
    right = ["seed", "steps", "steps/s", "return", "left", "age"]
    rows = [(run.status, *_run_cells(run)) for run in found]
    made: RenderableType
    if len(rows) > _FOLDED_ROWS:
        made = _Lines("runs", left, right, rows)
    else:
        made = _table("runs", left, right, [])
        for status, *cells in rows:
            made.add_row(Text(status, _COLOURS.get(status, "")), *map(Text, cells))
    return Group(made, "", *_texts(_places_and_notes(found)))


def _run_cells(run: RunRow) -> list[str]:
    cells = [run.environment, run.agent, _seed(run.seed), _steps(run)]
    cells += [_count(run.steps_per_second), _plain(run.episode_return)]
    return [*cells, _duration(run.left_s), _duration(run.age_s)]


class _Lines:
    """A table of thousands of rows, which rich's own would take seconds to lay out.

    Args:
        title: Stands above it.
        left: Headings of columns whose cells begin at the left; the first gives a line its colour.
        right: Headings of the columns after them, whose cells end at the right.
        rows: The cells.
    """

    def __init__(
        self, title: str, left: list[str], right: list[str], rows: list[tuple[str, ...]]
    ) -> None:
        self._title, self._headings, self._rows = title, [*left, *right], rows
        widths = [max(map(len, column)) for column in zip(self._headings, *rows, strict=True)]
        sides = "<" * len(left) + ">" * len(right)
        self._layout = " ".join(f"{{:{s}{w}}}" for s, w in zip(sides, widths, strict=True))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        styles = {name: console.get_style(colour) for name, colour in _COLOURS.items()}
        yield Segment(f"{self._title}\n", console.get_style("italic"))
        yield Segment(f"{self._layout.format(*self._headings)}\n", console.get_style("bold"))
        for row in self._rows:
            line = self._layout.format(*map(_printable, row))
            yield Segment(line[: len(row[0])], styles.get(row[0]))
            yield Segment(f"{line[len(row[0]) :].rstrip()}\n")


def _printable(text: str) -> str:
    """Without what could steer the terminal; a table of rich's sees to that itself."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _places_and_notes(found: list[RunRow]) -> list[str]:
    """Where the runs are (a column of folders would squeeze the others), and what went wrong."""
    roots = [_usual_root(run) for run in found]
    usual = sorted({root for root in roots if root is not None})
    lines = [f"in {_shown(Path(root))}/ENVIRONMENT/AGENT/seed_SEED" for root in usual]
    for run, root in zip(found, roots, strict=True):
        if run.note or root is None:
            what = run.note or f"{run.environment} {run.agent} seed {_seed(run.seed)}"
            lines.append(f"{_shown(run.folder)}: {_one_line(what)}")
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_NOTE_WIDTH]


def _usual_root(run: RunRow) -> str | None:
    end = os.path.join("", paths.file_name(run.environment), run.agent, f"seed_{run.seed}")
    folder = os.fspath(run.folder)
    return folder[: -len(end) - 1] or "." if folder.endswith(os.sep + end) else None


def _policies(found: list[PolicyRow]) -> Table:
    made = _table("frozen policies", ["environment", "agent"], ["seed", "steps", "age"], ["folder"])
    for policy in found:
        cells = [policy.environment, policy.agent, _seed(policy.seed), _count(policy.steps)]
        made.add_row(*map(Text, [*cells, _duration(policy.age_s), _shown(policy.folder)]))
    return made


def _evaluations(found: list[EvaluationRow]) -> Group:
    made = _table(
        "evaluations",
        ["status", "environment", "contestants, best first"],
        ["failures", "age"],
        ["folder"],
    )
    for one in found:
        cells = [one.environment, ", ".join(one.contestants), str(one.failures)]
        cells += [_duration(one.age_s), _shown(one.folder)]
        made.add_row(Text(one.status, _COLOURS.get(one.status, "")), *map(Text, cells))
    notes = [f"{_shown(one.folder)}: {one.status}. {one.note}" for one in found if one.note]
    return Group(made, "", *_texts(notes)) if notes else Group(made)


def _texts(texts: list[str]) -> list[Text]:
    return [Text(_printable(text), overflow="fold") for text in texts]


def _table(title: str, left: list[str], right: list[str], last: list[str]) -> Table:
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    made.padding = (0, 1, 0, 0)
    for heading in left:
        made.add_column(heading, no_wrap=heading in ("status", "agent"), overflow="fold")
    for heading in right:
        made.add_column(heading, justify="right", no_wrap=True)
    for heading in last:
        made.add_column(heading, overflow="fold")
    return made


def _shown(folder: Path) -> str:
    return os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)


def _seed(seed: int | None) -> str:
    return "-" if seed is None else str(seed)


def _steps(run: RunRow) -> str:
    if math.isnan(run.steps) or run.steps == run.step:
        return _count(run.step)
    return f"{_count(run.step)}/{_count(run.steps)}"


def _count(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    for prefix, least in _PREFIXES:
        if value >= least:
            size = 1e3 if prefix == "k" else least
            return f"{value / size:.4g}{prefix}"
    return f"{value:.0f}"


def _plain(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "-"


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "-"
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"

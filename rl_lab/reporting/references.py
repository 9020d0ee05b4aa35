"""The table of reference rows: the same policies through the library that trained them."""

from __future__ import annotations

from typing import Any

from rl_lab.reporting import tables, text
from rl_lab.reporting.stored import Data, Evaluation, block, reason
from rl_lab.reporting.tables import Cell, Column, Table, column, table, transposed, words


def references(evaluation: Evaluation) -> Table | None:
    """Both paths side by side; None where nobody has a reference row."""
    names = [str(c.get("name")) for c in evaluation.contestants]
    times = [evaluation.times(name) for name in names]
    rows = [block(t, "reference") for t in times]
    if not any(rows):
        return None
    whys = [
        evaluation.times_reason(name) or reason(t, "reference")
        for name, t in zip(names, times, strict=True)
    ]
    shown: list[tuple[Column, str, Any]] = [
        (Column("p50 (µs)", "library, one decision"), "p50_us", text.tenths),
        (Column("frozen p50 (µs)", "taken in turn with it"), "frozen_p50_us", text.tenths),
        (Column("times faster", "of the medians"), "times_faster", lambda v: f"{v:.3g}"),
        (Column("p99 (µs)", "library"), "p99_us", text.tenths),
        (Column("frozen p99 (µs)"), "frozen_p99_us", text.tenths),
        (Column("differs", "share of the decisions"), "mismatch_rate", lambda v: f"{v:.2%}"),
        (Column("decisions"), "calls", text.count),
    ]
    cells = [[tables.name(c) for c in evaluation.contestants], _libraries(rows, whys)]
    cells += [column(rows, key, show, whys) for _, key, show in shown]
    columns = [tables.CONTESTANT, Column("library", kind="name"), *(c for c, _, _ in shown)]
    for size in sorted({one["size"] for row in rows for one in row.get("batches") or []}):
        cells.append(_batches(rows, size, whys))
        columns.append(Column(f"batch of {size:,}", "decisions per second; library below"))
    caption = "Reference: the same policy through the library that trained it"
    how = (
        "both decide on the same observations in turn; above 1 time faster, freezing has paid."
        " Decisions that differ should be none."
    )
    return table("references", caption, columns, transposed(cells), how)


def _libraries(rows: list[Data], whys: list[str]) -> list[Cell]:
    cells = []
    for row, why in zip(rows, whys, strict=True):
        through = block(row, "through")
        versions = [k for k in through if k not in ("algorithm", "policy_class")]
        below = ", ".join(f"{package} {through[package]}" for package in versions)
        name = str(through.get("algorithm") or "").rpartition(".")[2]
        cells.append(words(name, below, why))
    return cells


def _batches(rows: list[Data], size: int, whys: list[str]) -> list[Cell]:
    cells = []
    for row, why in zip(rows, whys, strict=True):
        found = [one for one in row.get("batches") or [] if one["size"] == size]
        one = found[0] if found else {}
        theirs = one.get("decisions_per_s")
        below = "" if theirs is None else text.count(theirs)
        cells.append(tables.number(one.get("frozen_decisions_per_s"), text.count, why, below))
    return cells

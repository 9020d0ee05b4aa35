"""Scores at each magnitude: a block of rows per shift."""

from __future__ import annotations

import dataclasses

from rl_lab.reporting import tables
from rl_lab.reporting.stored import Data, Evaluation, block, not_learned, reason
from rl_lab.reporting.tables import Cell, Column, Table, intervals, table, transposed, words

_CAPTION = "Score at each magnitude of each shift"
_HOW = (
    "0 is the training context; the rows of one shift stand together. A row that keeps its numbers"
    " to the right is robust."
)


@dataclasses.dataclass(frozen=True)
class _Row:
    """A contestant along a shift; `curve` is empty where it has none, and `why` says so."""

    contestant: Data
    shift: Data
    curve: Data
    why: str

    def level(self, delta: float) -> Data:
        """What is stored at a magnitude; empty where nothing is."""
        return next((lv for lv in _levels(self.curve) if lv["delta"] == delta), {})

    def score(self, delta: float) -> Data:
        """Its score as an estimate with its ends."""
        found = self.level(delta)
        return {**found, "estimate": found.get("score")} if found else {}


def robustness(evaluation: Evaluation) -> Table | None:
    """Area, worst level and scores of each shift; None where nobody has any."""
    rows = _rows(evaluation)
    deltas = sorted({float(lv["delta"]) for row in rows for lv in _levels(row.curve)})
    if not deltas:
        return None
    shifts = list(dict.fromkeys(str(row.shift.get("shift")) for row in rows))
    names = [Column("shift", kind="text"), Column("parameter", "at each magnitude", kind="text")]
    named = [
        [words(row.shift.get("shift")) for row in rows],
        [words(_parameter(row.shift)) for row in rows],
    ]
    caption = _CAPTION
    if len(shifts) == 1:
        # The caption says it once, not every row again.
        names, named = [], []
        caption = f"Score at each magnitude of {shifts[0]}, {_parameter(rows[0].shift)}"
    columns = [
        tables.CONTESTANT,
        *names,
        Column("area", "under the score over [0, 1]"),
        Column("worst level", "of this shift"),
        *(Column(f"{delta:g}") for delta in deltas),
    ]
    cells = [
        [tables.name(row.contestant) for row in rows],
        *named,
        *_summaries(rows),
        *(_scores(rows, d) for d in deltas),
    ]
    found = table("levels", caption, columns, transposed(cells), _HOW)
    return dataclasses.replace(found, flat=_flat(rows))


def _flat(rows: list[_Row]) -> Table:
    """One row per contestant, shift and magnitude, for programs."""
    long = [(row, float(level["delta"])) for row in rows for level in _levels(row.curve)]
    areas, worsts = _summaries([row for row, _ in long])
    cells = [
        [tables.name(row.contestant) for row, _ in long],
        [words(row.shift.get("shift")) for row, _ in long],
        [words(row.shift.get("parameter")) for row, _ in long],
        [words(row.shift.get("unit"), why="it has no unit") for row, _ in long],
        [Cell(f"{delta:g}", value=delta) for _, delta in long],
        [_value(row.level(delta)) for row, delta in long],
        intervals([row.score(delta) for row, delta in long], [""] * len(long)),
        areas,
        worsts,
    ]
    columns = [
        *(Column(heading, kind="text") for heading in ("contestant", "shift", "parameter", "unit")),
        *(Column(heading) for heading in ("magnitude", "value", "score", "area", "worst level")),
    ]
    return table("levels", _CAPTION, columns, transposed(cells))


def _rows(evaluation: Evaluation) -> list[_Row]:
    """All contestants along the first shift, then all along the next."""
    shifts: dict[str, Data] = {}
    for contestant in evaluation.contestants:
        for curve in _curves(contestant):
            name = str(curve.get("shift"))
            if not _levels(shifts.get(name, {})):
                shifts[name] = curve
    return [
        _row(contestant, name, shift)
        for name, shift in shifts.items()
        for contestant in evaluation.contestants
    ]


def _row(contestant: Data, name: str, shift: Data) -> _Row:
    found = next((c for c in _curves(contestant) if str(c.get("shift")) == name), {})
    why = f"it was not evaluated along {name}"
    if not block(contestant, "robustness"):
        why = reason(contestant, "robustness")
    return _Row(contestant, shift, found, why)


def _curves(contestant: Data) -> list[Data]:
    return list(block(contestant, "robustness").get("shifts") or [])


def _levels(curve: Data) -> list[Data]:
    return [level for level in curve.get("levels") or [] if level.get("delta") is not None]


def _summaries(rows: list[_Row]) -> list[list[Cell]]:
    """The shift's own area and worst level."""
    return [
        tables.fainted(
            intervals(
                [block(row.curve, key) for row in rows],
                [reason(row.curve, key) if row.curve else row.why for row in rows],
                2,
            ),
            [not_learned(row.contestant) for row in rows],
        )
        for key in ("auc", "worst")
    ]


def _scores(rows: list[_Row], delta: float) -> list[Cell]:
    """The scores at one magnitude."""
    found = intervals([r.score(delta) for r in rows], [_why(r) for r in rows], 2)
    return tables.fainted(found, [not_learned(r.contestant) for r in rows])


def _why(row: _Row) -> str:
    """Why the row has no score at a magnitude."""
    if not row.curve:
        return row.why
    return "not evaluated at this magnitude" if _levels(row.curve) else reason(row.curve, "levels")


def _parameter(shift: Data) -> str:
    """What is changed, in which unit, and its values in the order of the magnitudes."""
    name, unit = str(shift.get("parameter") or "parameter"), shift.get("unit")
    values = [level.get("value") for level in _levels(shift)]
    known = ", ".join("?" if value is None else f"{value:.4g}" for value in values)
    return f"{name}{f' ({unit})' if unit else ''}: {known}"


def _value(level: Data) -> Cell:
    value = level.get("value")
    return tables.number(value, lambda number: f"{number:.4g}", "it has no single value")

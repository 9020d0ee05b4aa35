"""Tables as data: cells keep the number they show, and say why it is missing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from rl_lab.reporting import text
from rl_lab.reporting.stored import Data, reason


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What is shown; "" where it is missing.
        below: A second, quieter line.
        value: The stored number, for sorting and copying; None for text.
        ends: Ends of its interval.
        missing: Why there is nothing, or no interval; "" where nothing is missing.
        faint: The number says little, for the reason in `missing`.
        note: Number of that reason below the table.
    """

    text: str
    below: str = ""
    value: float | None = None
    ends: tuple[float, float] | None = None
    missing: str = ""
    faint: bool = False
    note: int = 0

    @property
    def absent(self) -> str:
        """The word for nothing: what is shown where a number is missing; "" where there is one."""
        return self.text or "missing" if self.missing and self.value is None else ""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        heading: What it holds.
        meaning: A few words on it.
        kind: CSS class: `number`, or `name` of a contestant.
        stored: Unit of the stored numbers, where they are shown in others.
    """

    heading: str
    meaning: str = ""
    kind: str = "number"
    stored: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; reasons of missing cells are listed once, below it.

    `flat` is the same with one number a row, for programs, where the table spreads them out.
    """

    key: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    how: str = ""
    empty: str = "the evaluation has no contestants"
    flat: Table | None = None


def table(
    key: str,
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    how: str = "",
) -> Table:
    """A table whose missing cells point to their reasons."""
    reasons = list(dict.fromkeys(cell.missing for row in rows for cell in row if cell.missing))
    noted = [
        [dataclasses.replace(c, note=reasons.index(c.missing) + 1) if c.missing else c for c in row]
        for row in rows
    ]
    return Table(key, caption, columns, noted, reasons, how)


def words(value: object, below: str = "", why: str = "not stored") -> Cell:
    """A cell of text."""
    return Cell(str(value), below) if value not in (None, "") else Cell("", missing=why)


def number(value: float | None, show: Callable[[float], str], why: str, below: str = "") -> Cell:
    """A cell of one number."""
    if value is None or not math.isfinite(value):
        return Cell("", missing=why)
    return Cell(show(value), below, value)


def numbers(values: Sequence[float | None], whys: Sequence[str], sign: bool = False) -> list[Cell]:
    """A column of numbers with the same decimals.

    Args:
        values: One per row.
        whys: Why the row's number is missing, where it is.
        sign: Show the sign of positive numbers.
    """
    digits = text.places(values)

    def show(value: float) -> str:
        return text.fixed(value, digits, sign)

    return [number(value, show, why) for value, why in zip(values, whys, strict=True)]


def intervals(
    estimates: Sequence[Data], whys: Sequence[str], decimals: int | None = None, sign: bool = False
) -> list[Cell]:
    """A column of estimates with their intervals below.

    Args:
        estimates: `{estimate, low, high, method}` per row; empty where missing.
        whys: Why the row's estimate is missing, where it is.
        decimals: How many; by default as many as the column needs.
        sign: Show the sign of positive numbers.
    """
    ends = [e.get(key) for e in estimates for key in ("estimate", "low", "high")]
    digits = text.places(ends) if decimals is None else decimals
    return [
        _interval(estimate, why, digits, sign)
        for estimate, why in zip(estimates, whys, strict=True)
    ]


def _interval(estimate: Data, why: str, digits: int, sign: bool) -> Cell:
    middle, low, high = (estimate.get(key) for key in ("estimate", "low", "high"))
    if middle is None:
        return Cell("", missing=estimate.get("method") or why)
    shown = text.fixed(middle, digits, sign)
    if low is None or high is None:
        return Cell(shown, "no interval", middle, missing=estimate.get("method") or why)
    below = f"[{text.fixed(low, digits, sign)}, {text.fixed(high, digits, sign)}]"
    return Cell(shown, below, middle, (low, high))


def fainted(cells: Sequence[Cell], whys: Sequence[str]) -> list[Cell]:
    """The same cells, those whose number says little in grey and with the reason.

    Args:
        cells: One per row.
        whys: Why its number says little; "" where it does not.
    """
    return [
        dataclasses.replace(cell, missing=cell.missing or why, faint=True)
        if why and cell.value is not None
        else cell
        for cell, why in zip(cells, whys, strict=True)
    ]


def transposed(columns: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """Rows from columns."""
    return [list(row) for row in zip(*columns, strict=True)]


def column(
    blocks: Sequence[Data], key: str, show: Callable[[float], str], whys: Sequence[str]
) -> list[Cell]:
    """A column of one number per block, each shown by `show`.

    Args:
        blocks: Where the numbers stand; empty where a whole block is missing.
        key: Their name.
        show: From a number to its text.
        whys: Why a whole block is missing.
    """
    return [
        number(block.get(key), show, why if not block else reason(block, key))
        for block, why in zip(blocks, whys, strict=True)
    ]


def name(contestant: Data) -> Cell:
    """Who it is, with agent and algorithm below."""
    own, agent = contestant.get("name"), contestant.get("agent")
    algorithm = str(contestant.get("algorithm") or "").rpartition(".")[2]
    facts = [agent if agent != own else "", algorithm]
    return words(own, " · ".join(str(fact) for fact in facts if fact))


def whys(blocks: Sequence[Data], key: str, missing: Sequence[str]) -> list[str]:
    """Per row, why `key` is missing: as its block says, or why the whole block is."""
    return [reason(b, key) if b else why for b, why in zip(blocks, missing, strict=True)]


CONTESTANT = Column("contestant", kind="name")
NOT_EVALUATED = "not part of this evaluation"
NO_COST = "its training is not known here"

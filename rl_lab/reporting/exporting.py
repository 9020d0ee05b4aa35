"""The report in pieces, for papers: tables as text, each figure as a file."""

from __future__ import annotations

import csv
import importlib
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rl_lab import files
from rl_lab.errors import BadInput, Failed, closest
from rl_lab.reporting import parts, standalone, stored
from rl_lab.reporting.tables import Cell, Table

_SCALE = 3  # dots per pixel: about 300 an inch in a column of a paper
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "µ": r"\textmu{}",
    "≥": r"$\ge$",
    ">": "$>$",
    "<": "$<$",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}


def write_files(evaluation_folder: Path, kind: str, to: Path) -> list[Path]:
    """Write the tables, or the figures, of an evaluation.

    Args:
        evaluation_folder: Where `scores.json` is.
        kind: `md`, `csv` or `latex` for tables; `svg`, `png` or `pdf` for figures.
        to: The folder to write to.

    Returns:
        What was written.

    Raises:
        BadInput: The kind is another, its library is missing, or there is no evaluation.
        Failed: The files cannot be written.
    """
    if kind not in KINDS:
        raise BadInput(
            f"format={kind}", f"one of {', '.join(KINDS)}", closest(kind, KINDS) or "csv has all."
        )
    return KINDS[kind](stored.load(evaluation_folder), to)


def _markdown(evaluation: stored.Evaluation, to: Path) -> list[Path]:
    found = parts.tables(evaluation).values()
    verdict = " ".join(str(evaluation.scores.get("verdict") or "").split())
    text = "\n".join([_in_markdown(verdict), "", *(_table_in_markdown(t) for t in found)])
    files.write_text(to / "tables.md", text)
    return [to / "tables.md"]


def _table_in_markdown(table: Table) -> str:
    heads = [_in_markdown(column.heading) for column in table.columns]
    rule = [":--" if column.kind != "number" else "--:" for column in table.columns]
    rows = [[_in_markdown(_words(cell)) for cell in row] for row in table.rows]
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows)]
    notes = [f"[{place}] {_in_markdown(note)}  " for place, note in enumerate(table.notes, 1)]
    return "\n".join([f"**{_in_markdown(table.caption)}**", "", *lines, "", *notes, ""])


def _in_markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _words(cell: Cell) -> str:
    """A cell as text; why it is empty stands below the table."""
    if cell.absent:
        return f"{cell.absent} [{cell.note}]"
    # The second line of a name says which algorithm it is; that of a number is its interval.
    noted = f" [{cell.note}]" if cell.note else ""
    below = f" {cell.below}{noted}" if cell.below else ""
    return f"{cell.text}{below}"


def _csv(evaluation: stored.Evaluation, to: Path) -> list[Path]:
    written = []
    for name, table in parts.tables(evaluation).items():
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(_rows(table.flat or table))
        files.write_text(to / f"{name}.csv", buffer.getvalue())
        written.append(to / f"{name}.csv")
    return written


def _rows(table: Table) -> list[list[Any]]:
    """Stored numbers with the ends of their intervals; missing ones are empty."""
    with_ends = [any(row[i].ends for row in table.rows) for i in range(len(table.columns))]
    head: list[Any] = []
    for column, ends in zip(table.columns, with_ends, strict=True):
        unit = f" ({column.stored})" if column.stored else ""
        head += [
            f"{column.heading}{end}{unit}" for end in ("", " low", " high")[: 3 if ends else 1]
        ]
    return [head, *(_row(row, with_ends) for row in table.rows)]


def _row(row: Sequence[Cell], with_ends: Sequence[bool]) -> list[Any]:
    values: list[Any] = []
    for cell, ends in zip(row, with_ends, strict=True):
        own = cell.value if cell.value is not None else harmless(cell.text)
        values += [own, *(cell.ends or ("", ""))] if ends else [own]
    return values


def harmless(text: str) -> str:
    """The same text, which no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _latex(evaluation: stored.Evaluation, to: Path) -> list[Path]:
    written = []
    for name, table in parts.tables(evaluation).items():
        columns = "".join("r" if column.kind == "number" else "l" for column in table.columns)
        heads = [_in_latex(column.heading) for column in table.columns]
        rows = [[_cell_in_latex(cell) for cell in row] for row in table.rows]
        lines = [
            f"% {_in_latex(table.caption)}; needs \\usepackage{{booktabs}}",
            f"\\begin{{tabular}}{{{columns}}}",
            "\\toprule",
            " & ".join(heads) + r" \\",
            "\\midrule",
            # The \\ of the row before would take a [ or a * that follows for its argument.
            *("{}" + " & ".join(cells) + r" \\" for cells in rows),
            "\\bottomrule",
            "\\end{tabular}",
            *(f"% [{place}] {_in_latex(note)}" for place, note in enumerate(table.notes, 1)),
        ]
        files.write_text(to / f"{name}.tex", "\n".join(lines) + "\n")
        written.append(to / f"{name}.tex")
    return written


def _cell_in_latex(cell: Cell) -> str:
    if cell.absent:
        return f"{_in_latex(cell.text) or '--'}\\,[{cell.note}]"
    if cell.ends:
        return f"{_in_latex(cell.text)} {{\\scriptsize {_in_latex(cell.below)}}}"
    return _in_latex(cell.text)


def _in_latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


def _figures(suffix: str, convert: Callable[[str], bytes]) -> Callable[..., list[Path]]:
    def write(evaluation: stored.Evaluation, to: Path) -> list[Path]:
        written = []
        for name, figure in parts.figures(evaluation).items():
            if figure.panels:
                path = to / f"{name}.{suffix}"
                files.write_bytes(path, convert(standalone.svg(figure)))
                written.append(path)
        if not written:
            raise Failed("the evaluation holds nothing to draw", "at least one contestant")
        return written

    return write


def _converted(function: str, **settings: Any) -> Callable[[str], bytes]:
    def convert(svg: str) -> bytes:
        try:
            library = importlib.import_module("vl_convert")
        except ImportError as error:
            raise BadInput(
                "vl-convert is not installed",
                "the package that writes .png and .pdf",
                'pip install "rl-lab[figures]", or give format=svg.',
            ) from error
        made: bytes = getattr(library, function)(svg, **settings)
        return made

    return convert


KINDS: dict[str, Callable[[stored.Evaluation, Path], list[Path]]] = {
    "md": _markdown,
    "csv": _csv,
    "latex": _latex,
    "svg": _figures("svg", str.encode),
    "png": _figures("png", _converted("svg_to_png", scale=_SCALE)),
    "pdf": _figures("pdf", _converted("svg_to_pdf")),
}

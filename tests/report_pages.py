"""Reading a report back: its elements, its tables, the numbers in their cells."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rl_lab.reporting import write_report

VOID = {"meta", "input"}


class Page(HTMLParser):
    """All elements with their attributes and text, in the order of the page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.texts[place] += data

    def all(self, tag: str, **wanted: str) -> list[tuple[dict[str, str | None], str]]:
        found = zip(self.elements, self.texts, strict=True)
        return [
            (attrs, " ".join(text.split()))
            for (name, attrs), text in found
            if name == tag and all(attrs.get(key) == value for key, value in wanted.items())
        ]


def report(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def rows(page: Page, key: str) -> list[dict[str, tuple[dict[str, str | None], str]]]:
    """A table's rows: heading -> (attributes, text)."""
    start = next(i for i, (t, a) in enumerate(page.elements) if t == "table" and a.get("id") == key)
    headings: list[str] = []
    found: list[dict[str, Any]] = []
    for (tag, attrs), text in zip(page.elements[start + 1 :], page.texts[start + 1 :], strict=True):
        if tag == "table":
            break
        if tag == "th" and attrs.get("scope") == "col":
            headings.append(str(attrs["data-heading"]).split(" (")[0])
        elif tag == "tr":
            found.append({})
        elif tag == "td" or attrs.get("scope") == "row":
            found[-1][headings[len(found[-1])]] = (attrs, " ".join(text.split()))
    return [row for row in found if row]


def shows(cell: tuple[dict[str, str | None], str], value: float, ends: Any = None) -> None:
    """The cell holds the number exactly, and shows it rounded correctly."""
    attrs, text = cell
    assert float(attrs["data-value"] or "nan") == value
    numbers = re.findall(r"[-+]?\d[\d,]*\.?\d*", text)
    expected = [value, *(ends or ())]
    for number, stored in zip(numbers, expected, strict=False):
        decimals = len(number.partition(".")[2])
        assert float(number.replace(",", "")) == pytest.approx(stored, abs=0.5001 * 10**-decimals)
    if ends:
        assert [float(attrs[key] or "nan") for key in ("data-low", "data-high")] == list(ends)
        assert len(numbers) == 3


def ends(data: dict[str, Any]) -> tuple[float, float]:
    return data["low"], data["high"]

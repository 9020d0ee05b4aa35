"""What a figure on the page is made of, and the look that contestants share in all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from markupsafe import Markup

from rl_lab.reporting.stored import Data

# More lines than this in one chart cannot be told apart: from there on, small multiples.
MOST_TOGETHER = 6
_LONGEST_NAME = 80


@dataclasses.dataclass(frozen=True)
class Missing:
    """Something a figure does not show."""

    name: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        name: A heading for it; "" where the figure's heading is enough.
        picture: The SVG.
        value: The main number in words; "" where there is none.
        look: CSS class of its colour.
    """

    name: str
    picture: Markup
    value: str = ""
    look: str = ""


@dataclasses.dataclass(frozen=True)
class Key:
    """An entry of a legend.

    Attributes:
        look: CSS class of its colour.
        name: What it stands for.
        sign: The letter that stands for it in the chart; "" where its colour does.
        note: What else there is to say.
    """

    look: str
    name: str
    sign: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Figure:
    """Charts that are read together.

    Attributes:
        heading: What they show.
        how: How to read them, one sentence.
        kind: CSS class: `strips`, `scatter`, `single` or `multiples`.
        panels: The charts.
        axis: The shared axis of strips.
        axis_label: What it counts.
        keys: The legend.
        missing: What is not shown, and why.
    """

    heading: str
    how: str
    kind: str
    panels: Sequence[Panel]
    axis: Markup | None = None
    axis_label: str = ""
    keys: Sequence[Key] = ()
    missing: Sequence[Missing] = ()


def looks(contestants: Sequence[Data]) -> dict[str, str]:
    """Contestant -> colour class; all the same where there are too many to tell apart."""
    names = [str(c.get("name")) for c in contestants]
    few = len(names) <= MOST_TOGETHER
    return {name: f"s{place if few else 0}" for place, name in enumerate(names)}


def short(name: str) -> str:
    """A name that fits into a text alternative."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def distinct(missing: Sequence[Missing]) -> list[Missing]:
    """One entry per reason where all names share it."""
    reasons = {m.reason for m in missing}
    if len(missing) > 1 and len(reasons) == 1:
        return [Missing(f"{len(missing)} contestants", missing[0].reason)]
    return list(missing)

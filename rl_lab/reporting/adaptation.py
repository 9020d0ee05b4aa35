"""Learning that goes on in a shifted world: what it gives back, and what is forgotten."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from rl_lab.reporting import lines, tables, text
from rl_lab.reporting.arranging import Line, arranged, size_of
from rl_lab.reporting.figures import Figure, looks, short
from rl_lab.reporting.lines import Series
from rl_lab.reporting.stored import Data, Evaluation, block
from rl_lab.reporting.tables import NOT_EVALUATED, Cell, Column, Table, intervals, table

_ADAPTED = {
    "drop": ("drop", "home less shifted, before"),
    "recovery_ratio": ("recovered", "share of the drop"),
    "adaptation_gain": ("gain", "by learning on"),
    "forward_transfer": ("transfer", "over learning anew"),
    "dip": ("dip", "lowest below the start"),
    "forgetting": ("forgetting", "lost at home"),
}
_WORLDS = {
    "shifted": (
        "Score in the shifted world while learning goes on",
        "at 0 stands the policy as it was frozen. The higher and the sooner a line rises, the"
        " more continued learning gives back.",
    ),
    "original": (
        "Score at home meanwhile",
        "the same snapshots in the training context. A line that falls forgets what it could.",
    ),
}


@dataclasses.dataclass(frozen=True)
class Adapted:
    """A contestant that went on learning in one shifted world."""

    contestant: Data
    block: Data

    @property
    def world(self) -> str:
        """The shifted world in words."""
        return f"{self.block.get('shift')} at {self.block.get('delta', 0):g}"


def adapted(evaluation: Evaluation) -> dict[str, list[Adapted]]:
    """Shifted world -> who went on learning in it, in the order of the leaderboard."""
    found: dict[str, list[Adapted]] = {}
    for contestant in evaluation.contestants:
        for one in contestant.get("adaptation") or []:
            entry = Adapted(contestant, one)
            found.setdefault(entry.world, []).append(entry)
    return found


def by_world(evaluation: Evaluation) -> list[Table]:
    """One table per shifted world."""
    found = []
    for place, (world, entries) in enumerate(adapted(evaluation).items()):
        blocks = [entry.block for entry in entries]
        nothing = [NOT_EVALUATED] * len(blocks)
        cells = [
            [tables.name(entry.contestant) for entry in entries],
            *(
                intervals([block(b, k) for b in blocks], tables.whys(blocks, k, nothing), 2)
                for k in _ADAPTED
            ),
            [_recovery(b) for b in blocks],
            tables.column([block(b, "cost") for b in blocks], "seconds", text.duration, nothing),
        ]
        columns = [
            tables.CONTESTANT,
            *(Column(heading, meaning) for heading, meaning in _ADAPTED.values()),
            Column("steps to recover", "median over seeds"),
            Column("time", "of learning on", stored="s"),
        ]
        steps = block(blocks[0], "cost").get("steps")
        budget = "" if steps is None else f", {text.count(steps)} steps"
        caption = f"Continued learning in {world}{budget}"
        how = (
            "recovered 1 is all of the drop won back; what was forgotten is its price at home."
            " A gain says little where there was no drop."
        )
        found.append(table(f"adaptation-{place}", caption, columns, tables.transposed(cells), how))
    return found


def _recovery(adaptation: Data) -> Cell:
    steps = block(adaptation, "steps_to_recover")
    reached, seeds, budget = steps.get("reached"), steps.get("seeds"), adaptation.get("budget")
    if steps.get("median") is not None:
        return Cell(text.count(steps["median"]), f"{reached} of {seeds} seeds", steps["median"])
    if seeds and budget is not None:
        # Known to be later than the end of learning: more than is known of what is missing.
        share = f"{reached} of {seeds} training seeds recovered"
        return Cell(f"> {text.count(budget)}", missing=share)
    return Cell("", missing=str(steps.get("median_reason") or NOT_EVALUATED))


def figures(evaluation: Evaluation) -> dict[str, Figure]:
    """Two figures per shifted world: the score there, and at home."""
    look = looks(evaluation.contestants)
    found = {}
    for place, (world, entries) in enumerate(adapted(evaluation).items()):
        for key, (heading, how) in _WORLDS.items():
            figure = Figure(f"{heading}: {world}", how, "single", ())
            drawn = [line for e in entries if (line := _line(e, key, look)) is not None]
            if drawn:
                series = [line.series for line in drawn]
                axes = lines.axes(
                    series, "steps of continued learning", "score", size_of(series), 1.0
                )
                axes = dataclasses.replace(
                    axes,
                    y=lines.span(series, also=(0.0, 1.0)),
                    references=((0.0, "random"), (1.0, "solved")),
                )
                figure = arranged(figure, drawn, axes, f"{key}-{place}")
            name = f"adaptation_{key}" if not place else f"adaptation_{key}_{place + 1}"
            found[name] = figure
    return found


def _line(entry: Adapted, key: str, look: Mapping[str, str]) -> Line | None:
    points = [(p["step"], block(p, key)) for p in entry.block.get("curves") or [] if p.get(key)]
    if not points:
        return None
    columns: list[list[float]] = [[float(step) for step, _ in points]]
    for end in ("estimate", "low", "high"):
        columns.append([_number(value.get(end)) for _, value in points])
    name = str(entry.contestant.get("name"))
    x, y, low, high = columns
    spoken = f"{short(name)}: score from {y[0]:.3g} to {y[-1]:.3g}"
    which = "recovery_ratio" if key == "shifted" else "forgetting"
    value = f"{which.replace('_ratio', '')} {text.estimate(block(entry.block, which), decimals=2)}"
    return Line(name, Series(look[name], x, y, low, high, dots=True), spoken, value)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)

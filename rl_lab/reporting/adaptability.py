"""Beyond fixed robustness: other contexts, drift while a policy acts, learning that goes on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rl_lab.comparison import card
from rl_lab.reporting import lines, tables, text
from rl_lab.reporting.arranging import Line, arranged, size_of
from rl_lab.reporting.figures import Figure, Missing, distinct, looks, short
from rl_lab.reporting.lines import Series
from rl_lab.reporting.stored import Data, Evaluation, block, reason
from rl_lab.reporting.tables import Cell, Column, Table, intervals, number, table, words

NOT_EVALUATED = "not part of this evaluation"
_SETS = {"train": "met in training", "nominal": "training context", "near": "", "far": ""}
_GAPS = {
    "gap_near": ("near", "score lost"),
    "gap_far": ("far", "score lost"),
    "gap_train_eval": ("training to evaluation", "return lost"),
}
_DRIFT = {
    "loss_per_step": ("loss per step", "of reward, by the drift"),
    "loss_score": ("loss", "on the scale of scores"),
    "obs_shift": ("observations", "moved, in deviations"),
    "dynamics_shift": ("dynamics", "log10 growth of errors"),
}
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


def generalisation(evaluation: Evaluation) -> Table | None:
    """Scores in contexts ever further from those of training, and the gaps; None without any."""
    contestants = evaluation.contestants
    blocks = [block(c, "generalisation") for c in contestants]
    if not any(blocks):
        return None
    whys = [reason(c, "generalisation") for c in contestants]
    cells = [[tables.name(c) for c in contestants]]
    cells.append(
        [words(block(b, "trained_on").get("range"), why=w) for b, w in _with(blocks, whys)]
    )
    scores = [block(b, "scores") for b in blocks]
    cells += [intervals([block(s, key) for s in scores], whys, 2) for key in _SETS]
    cells += [
        intervals([block(b, key) for b in blocks], tables.whys(blocks, key, whys), 2, sign=True)
        for key in _GAPS
    ]
    columns = [
        tables.CONTESTANT,
        Column("trained on", kind="text"),
        *(Column(key, meaning) for key, meaning in _SETS.items()),
        *(Column(f"gap: {name}", meaning) for name, meaning in _GAPS.values()),
    ]
    caption = "Generalisation: scores in contexts near and far from those of training"
    how = (
        "from left to right the contexts are further from training. A gap is what is lost on the"
        " way, 0 where nothing is."
    )
    return table("generalisation", caption, columns, tables.transposed(cells), how)


def matrix(evaluation: Evaluation) -> Table | None:
    """Trained in one context or on drawn ones, against tested at home, near and far."""
    rows: Sequence[Data] = evaluation.scores.get("generalisation_matrix") or []
    if not rows:
        return None
    kinds = {"D": "one context", "R": "drawn contexts"}
    cells = [
        [words(row.get("contestant")) for row in rows],
        [words(kinds.get(str(row.get("trained")), row.get("trained"))) for row in rows],
        *(
            intervals([block(row, key) for row in rows], [NOT_EVALUATED] * len(rows), 2)
            for key in "DRE"
        ),
    ]
    columns = [
        tables.CONTESTANT,
        Column("trained in", kind="text"),
        Column("home", "training context"),
        Column("near", "where training may have been"),
        Column("far", "where it never was"),
    ]
    how = (
        "who trained on drawn contexts should lose less from home to far than who knows only one;"
        " what it gives up at home is the price."
    )
    return table("matrix", "Generalisation matrix", columns, tables.transposed(cells), how)


def drift(evaluation: Evaluation) -> list[Table]:
    """What drift costs fixed policies, and whether the alarm saw it: one table per shift."""
    names = {str(one.get("shift")): one for c in evaluation.contestants for one in _drifts(c)}
    return [
        _drift(evaluation.contestants, name, first, place)
        for place, (name, first) in enumerate(names.items())
    ]


def _drifts(contestant: Data) -> Sequence[Data]:
    return contestant.get("drift") or []


def _drift(contestants: Sequence[Data], shift: str, first: Data, place: int) -> Table:
    blocks = [next((b for b in _drifts(c) if b.get("shift") == shift), {}) for c in contestants]
    whys = [
        str(b.get("reason") or reason(c, "drift")) for c, b in zip(contestants, blocks, strict=True)
    ]
    alarms = [block(b, "detection") for b in blocks]
    unseen = tables.whys(blocks, "detection", whys)
    survival = [block(b, "survival") for b in blocks]
    cells = [
        [tables.name(c) for c in contestants],
        *(
            intervals([block(b, key) for b in blocks], tables.whys(blocks, key, whys))
            for key in _DRIFT
        ),
        *(intervals([block(s, key) for s in survival], whys, 2) for key in ("drift", "no_drift")),
        *(
            intervals([block(a, key) for a in alarms], tables.whys(alarms, key, unseen), 2)
            for key in ("detection_rate", "false_alarm_rate")
        ),
        _numbers(alarms, "delay_steps", text.count, unseen),
    ]
    columns = [
        tables.CONTESTANT,
        *(Column(heading, meaning) for heading, meaning in _DRIFT.values()),
        Column("survival", "with drift"),
        Column("undisturbed", "survival without drift"),
        Column("alarm", "share of drifts seen"),
        Column("false alarms", "share of calm episodes"),
        Column("delay", "median, steps", stored="steps"),
    ]
    caption = f"Drift: {shift} up to {first.get('delta', math.nan):g}"
    schedule = block(first, "schedule")
    if schedule.get("kind"):
        caption += f", {schedule['kind']}"
    if schedule.get("clock") == "episodes":
        caption += " from episode to episode"
    how = (
        "a loss above 0 is what the drift takes from a policy that does not learn; a good alarm"
        " sees most drifts, soon, and is seldom false."
    )
    return table(f"drift-{place}", caption, columns, tables.transposed(cells), how)


def _with(blocks: Sequence[Data], whys: Sequence[str]) -> list[tuple[Data, str]]:
    return list(zip(blocks, whys, strict=True))


def _numbers(
    blocks: Sequence[Data], key: str, show: Callable[[float], str], whys: Sequence[str]
) -> list[Cell]:
    return [
        number(b.get(key), show, reason(b, key) if b else why) for b, why in _with(blocks, whys)
    ]


def cards(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Contestant and its adaptability card as text, where there is more to tell than robustness."""
    found = [c for c in evaluation.contestants if card.has_card(c)]
    return [(str(c.get("name")), _card(c)) for c in found]


def _card(contestant: Data) -> str:
    try:
        return card.card_text(contestant).split("\n", 1)[1]
    except (KeyError, TypeError, IndexError) as error:
        return f"missing: scores.json lacks a part of it ({error})"


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


def adaptation(evaluation: Evaluation) -> list[Table]:
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
            [_recovery(block(b, "steps_to_recover")) for b in blocks],
            _numbers([block(b, "cost") for b in blocks], "seconds", text.duration, nothing),
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


def _recovery(steps: Data) -> Cell:
    if steps.get("median") is None:
        return Cell("", missing=str(steps.get("median_reason") or NOT_EVALUATED))
    below = f"{steps.get('reached')} of {steps.get('seeds')} seeds"
    return Cell(text.count(steps["median"]), below, steps["median"])


def adaptation_figures(evaluation: Evaluation) -> dict[str, Figure]:
    """Two figures per shifted world: the score there, and at home."""
    look = looks(evaluation.contestants)
    figures = {}
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
            figures[name] = figure
    return figures


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


def reasons(evaluation: Evaluation, key: str) -> list[Missing]:
    """Why contestants lack a block, those that have it left out."""
    return distinct(
        [
            Missing(str(c.get("name")), str(c.get(f"{key}_reason") or NOT_EVALUATED))
            for c in evaluation.contestants
            if not c.get(key)
        ]
    )

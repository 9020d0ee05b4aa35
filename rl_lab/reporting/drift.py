"""Fixed policies while the world moves under them: what it costs, and whether the alarm saw it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rl_lab.reporting import tables, text
from rl_lab.reporting.stored import Data, Evaluation, block, reason
from rl_lab.reporting.tables import Column, Table, intervals, table

_DRIFT = {
    "loss_per_step": ("loss per step", "of reward, by the drift"),
    "loss_score": ("loss", "on the scale of scores"),
    "obs_shift": ("observations", "moved, in deviations"),
    "dynamics_shift": ("dynamics", "log10 growth of errors"),
}


def by_shift(evaluation: Evaluation) -> list[Table]:
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
        tables.column(alarms, "delay_steps", text.count, unseen),
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

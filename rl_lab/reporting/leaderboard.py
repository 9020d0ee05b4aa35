"""The leaderboard."""

from __future__ import annotations

from collections.abc import Sequence

from rl_lab.reporting import tables, text
from rl_lab.reporting.stored import Data, Evaluation, block, mean_of, not_learned, reason
from rl_lab.reporting.tables import (
    Cell,
    Column,
    Table,
    column,
    intervals,
    number,
    table,
    transposed,
)

_HOW = (
    "brackets hold 95% intervals, over training seeds where there are several, else over episodes."
    " Score: 0 is random play, 1 is solved."
    " Success: the share of episodes that reach the solved return. To the best: the difference"
    " in return on the same episodes, and p its test with Holm's correction. Robustness: the area"
    " under the score along the shift."
)
_HOW_ADAPTED = " Adaptation: how much score continued learning adds, on average over its budget."
# The best has no difference to the best; nothing is missing.
_BEST = Cell("best")


def leaderboard(evaluation: Evaluation) -> Table:
    """Who earned how much, how surely, how fast, how robustly, at what cost."""
    contestants = evaluation.contestants
    stored = [block(c, "robustness") for c in contestants]
    robustness = [block(one, "auc") for one in stored]
    whys = [reason(c, "robustness") for c in contestants]
    training = [block(c, "training") for c in contestants]
    no_cost = [tables.NO_COST] * len(contestants)
    adapted = _adapted(contestants)
    made: list[tuple[Column, list[Cell]]] = [
        (Column("rank"), _ranks(contestants)),
        (tables.CONTESTANT, [tables.name(c) for c in contestants]),
        (
            Column("seeds", "trained"),
            [_seeds(c) for c in contestants],
        ),
        *_earned(contestants),
        *_differences(contestants),
        (Column("decision µs", "p50, p90"), _decisions(evaluation)),
        (
            Column("robustness", "area"),
            tables.fainted(
                intervals(robustness, tables.whys(stored, "auc", whys), 2),
                [not_learned(c) for c in contestants],
            ),
        ),
        *adapted,
        (
            Column("training time", "per seed", stored="s"),
            column(training, "seconds", text.duration, no_cost),
        ),
    ]
    columns, cells = [c for c, _ in made], [c for _, c in made]
    caption = "Leaderboard, the highest mean return first"
    how = _HOW + (_HOW_ADAPTED if adapted else "")
    return table("leaderboard", caption, columns, transposed(cells), how)


def _adapted(contestants: Sequence[Data]) -> list[tuple[Column, list[Cell]]]:
    """What learning on gained in the first context adapted to; no column where nobody did."""
    blocks: list[Data] = [next(iter(c.get("adaptation") or []), {}) for c in contestants]
    if not any(blocks):
        return []
    absent = [reason(c, "adaptation") for c in contestants]
    whys = tables.whys(blocks, "adaptation_gain", absent)
    gains = intervals([block(b, "adaptation_gain") for b in blocks], whys, 2, sign=True)
    return [(Column("adaptation", "gain by learning on"), gains)]


def _ranks(contestants: Sequence[Data]) -> list[Cell]:
    """Equal means share a rank."""
    means = [mean_of(c).get("estimate") for c in contestants]
    known = [mean for mean in means if mean is not None]
    return [
        number(None if m is None else 1 + known.index(m), str, reason(c, "reward"))
        for m, c in zip(means, contestants, strict=True)
    ]


def _seeds(contestant: Data) -> Cell:
    used = len(block(block(contestant, "reward"), "per_seed"))
    declared = len(contestant.get("training_seeds") or [])
    return Cell(str(used), "" if used == declared else f"of {declared}", used)


def _earned(contestants: Sequence[Data]) -> list[tuple[Column, list[Cell]]]:
    rewards = [block(c, "reward") for c in contestants]
    absent = [reason(c, "reward") for c in contestants]
    columns = {
        "mean": (Column("mean return", "95% interval"), None),
        "score": (Column("score", "solved is 1"), 2),
        "success_rate": (Column("success", "of episodes"), 2),
    }
    return [
        (
            heading,
            intervals(
                [block(r, key) for r in rewards], tables.whys(rewards, key, absent), decimals
            ),
        )
        for key, (heading, decimals) in columns.items()
    ]


def _differences(contestants: Sequence[Data]) -> list[tuple[Column, list[Cell]]]:
    to_best = [block(c, "to_best") for c in contestants]
    absent = [reason(c, "to_best" if block(c, "reward") else "reward") for c in contestants]
    deltas = intervals([block(t, "delta") for t in to_best], absent, sign=True)
    p_values = [_p_value(t, why) for t, why in zip(to_best, absent, strict=True)]
    scored = [place for place, c in enumerate(contestants) if block(c, "reward")]
    if scored and not to_best[scored[0]]:
        deltas[scored[0]] = p_values[scored[0]] = _BEST
    return [
        (Column("to the best", "difference"), deltas),
        (Column("p", "Holm"), p_values),
    ]


def _p_value(to_best: Data, why: str) -> Cell:
    if to_best:
        why = reason(to_best, "p_value" if to_best.get("p_value") is None else "p_holm")
    return number(to_best.get("p_holm"), lambda p: "<0.001" if p < 0.001 else f"{p:.3f}", why)


def _decisions(evaluation: Evaluation) -> list[Cell]:
    cells = []
    for contestant in evaluation.contestants:
        name = str(contestant.get("name"))
        times = evaluation.times(name)
        p90, why = times.get("p90_us"), evaluation.times_reason(name) or "not stored in speed.json"
        below = "" if p90 is None else f"p90 {text.tenths(p90)}"
        cells.append(number(times.get("p50_us"), text.tenths, why, below))
    return cells

"""The leaderboard."""

from __future__ import annotations

from collections.abc import Sequence

from rl_lab.reporting import tables, text
from rl_lab.reporting.stored import Data, Evaluation, block, mean_of, reason
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

_BEST = "the others are compared with it"


def leaderboard(evaluation: Evaluation) -> Table:
    """Who earned how much, how surely, how fast, how robustly, at what cost."""
    contestants = evaluation.contestants
    robustness = [block(block(c, "robustness"), "auc") for c in contestants]
    training = [block(c, "training") for c in contestants]
    no_cost = [tables.NO_COST] * len(contestants)
    made: list[tuple[Column, list[Cell]]] = [
        (Column("rank"), _ranks(contestants)),
        (tables.CONTESTANT, [tables.name(c) for c in contestants]),
        (
            Column("seeds", "training seeds with all their episodes"),
            [_seeds(c) for c in contestants],
        ),
        *_earned(contestants),
        *_differences(contestants),
        (Column("decision, µs", "p50 of one decision, p90 below"), _decisions(evaluation)),
        (
            Column("robustness", "area under the score along the shift"),
            intervals(robustness, [reason(c, "robustness") for c in contestants], 2),
        ),
        (
            Column("training time", "mean over the seeds"),
            column(training, "seconds", text.duration, no_cost),
        ),
    ]
    columns, cells = [c for c, _ in made], [c for _, c in made]
    caption = "Leaderboard, the highest mean return first"
    return table("leaderboard", caption, columns, transposed(cells))


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
        "mean": (Column("mean return", "over training seeds, 95% interval below"), None),
        "score": (Column("score", "0 is random play, 1 is solved"), 2),
        "success_rate": (Column("success", "share of episodes with the solved return"), 2),
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
    absent = [_no_difference(c, contestants) for c in contestants]
    deltas = intervals([block(t, "delta") for t in to_best], absent, sign=True)
    p_values = [_p_value(t, why) for t, why in zip(to_best, absent, strict=True)]
    return [
        (Column("to the best", "paired difference in return, 95% interval below"), deltas),
        (Column("p", "of that difference, with Holm's correction"), p_values),
    ]


def _no_difference(contestant: Data, contestants: Sequence[Data]) -> str:
    scored = [c for c in contestants if block(c, "reward")]
    if scored and contestant is scored[0]:
        return _BEST
    return reason(contestant, "to_best" if block(contestant, "reward") else "reward")


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

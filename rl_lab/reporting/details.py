"""The other tables: decision times, seeds, episodes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab import seeding
from rl_lab.records import EpisodeRecord
from rl_lab.reporting import tables, text
from rl_lab.reporting.stored import Evaluation, block, reason
from rl_lab.reporting.tables import (
    Cell,
    Column,
    Table,
    column,
    numbers,
    table,
    transposed,
)


def timed(evaluation: Evaluation, key: str, show: Any) -> list[Cell]:
    """A column of one number per contestant from `speed.json`."""
    names = [str(c.get("name")) for c in evaluation.contestants]
    return column(
        [evaluation.times(n) for n in names], key, show, [evaluation.times_reason(n) for n in names]
    )


def decision_times(evaluation: Evaluation) -> Table:
    """All percentiles."""
    keys = {
        "p50": "p50_us",
        "p90": "p90_us",
        "p99": "p99_us",
        "longest": "max_us",
        "mean": "mean_us",
    }
    cells = [[tables.name(c) for c in evaluation.contestants]]
    cells += [timed(evaluation, key, text.tenths) for key in keys.values()]
    cells += [
        timed(evaluation, "calls", text.count),
        timed(evaluation, "steps_per_second", text.count),
    ]
    cells += [timed(evaluation, "deadline_miss_rate", lambda share: f"{share:.2%}")]
    columns = [tables.CONTESTANT, *(Column(f"{heading} (µs)") for heading in keys)]
    columns += [
        Column("decisions timed"),
        Column("steps per second", "decision and environment step"),
    ]
    columns += [Column("deadline missed", "share of the decisions")]
    how = (
        "of all decisions timed, half take no longer than p50, 99 in 100 no longer than p99."
        " A deadline is one control period of the environment."
    )
    return table("times", "Time of one decision", columns, transposed(cells), how)


def seeds(evaluation: Evaluation) -> Table:
    """The numbers behind the dots."""
    contestants = evaluation.contestants
    rewards = [block(c, "reward") for c in contestants]
    whys = [reason(c, "reward") for c in contestants]
    names = sorted({s for r in rewards for s in block(r, "per_seed")}, key=_seed_order)
    shown = {
        "median": "over training seeds",
        "min": "lowest training seed",
        "max": "highest training seed",
        "seed_dispersion": "between training seeds",
        "episode_dispersion": "between episodes of one seed",
        "episode_cvar10": "mean of the worst tenth of the episodes",
    }
    cells = [[tables.name(c) for c in contestants]]
    cells += [numbers([r.get(k) for r in rewards], tables.whys(rewards, k, whys)) for k in shown]
    for seed in names:
        missing = [
            "not a training seed of it" if r else why for r, why in zip(rewards, whys, strict=True)
        ]
        cells.append(numbers([block(r, "per_seed").get(seed) for r in rewards], missing))
    columns = [Column(key.replace("_", " "), meaning) for key, meaning in shown.items()]
    columns += [Column(f"seed {seeding.shown(seed)}") for seed in names]
    caption = "Mean return per training seed"
    how = (
        "seeds that lie far apart say that the algorithm is a gamble; a worst tenth far below the"
        " mean, that its episodes are. Dispersion: the range of the middle half; below four values"
        " their standard deviation."
    )
    return table("seeds", caption, [tables.CONTESTANT, *columns], transposed(cells), how)


def _seed_order(seed: str) -> tuple[int, str]:
    return (int(seed), "") if seed.lstrip("-").isdigit() else (0, seed)


def endings(evaluation: Evaluation) -> Table:
    """How the episodes in the training context ended."""
    found: dict[str, list[EpisodeRecord]] = {}
    for record in evaluation.episodes or []:
        if record.shift == "none":
            found.setdefault(record.contestant, []).append(record)
    why = evaluation.episodes_reason or "no episode of it in episodes.csv"
    facts = [_facts(found.get(str(c.get("name")), [])) for c in evaluation.contestants]
    shown: list[tuple[Column, str, Any]] = [
        (Column("episodes"), "episodes", text.count),
        (
            Column("terminated", "the task reached a final state"),
            "terminated",
            lambda v: f"{v:.1%}",
        ),
        (Column("truncated", "a limit cut the episode"), "truncated", lambda v: f"{v:.1%}"),
        (Column("median length", "steps"), "length", text.count),
        (Column("lowest return"), "lowest", lambda v: f"{v:.6g}"),
        (Column("highest return"), "highest", lambda v: f"{v:.6g}"),
    ]
    cells = [[tables.name(c) for c in evaluation.contestants]]
    cells += [column(facts, key, show, [why] * len(facts)) for _, key, show in shown]
    caption = "How the episodes in the training context ended"
    columns = [tables.CONTESTANT, *(c for c, _, _ in shown)]
    how = (
        "where a final state is a failure, as a fall, truncated episodes are the good ones; where"
        " it is the goal, terminated ones are."
    )
    return table("endings", caption, columns, transposed(cells), how)


def _facts(records: Sequence[EpisodeRecord]) -> Mapping[str, float]:
    if not records:
        return {}
    returns = [r.episode_return for r in records]
    return {
        "episodes": len(records),
        "terminated": statistics.fmean(r.terminated for r in records),
        "truncated": statistics.fmean(r.truncated for r in records),
        "length": statistics.median(r.length for r in records),
        "lowest": min(returns),
        "highest": max(returns),
    }

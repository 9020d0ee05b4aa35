"""The other tables: training against inference, decision times, robustness, seeds, episodes."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab.records import EpisodeRecord
from rl_lab.reporting import tables, text
from rl_lab.reporting.stored import Data, Evaluation, block, curve_of, levels_of, reason
from rl_lab.reporting.tables import (
    Cell,
    Column,
    Table,
    column,
    intervals,
    numbers,
    table,
    transposed,
    words,
)


def costs(evaluation: Evaluation) -> Table:
    """What training cost once, and what every decision costs."""
    contestants = evaluation.contestants
    training = [block(c, "training") for c in contestants]
    whys = [tables.NO_COST] * len(contestants)
    spent = [block(t, "energy") for t in training]
    no_energy = [reason(t, "energy") if t else tables.NO_COST for t in training]
    trained: list[tuple[Column, str, Any]] = [
        (Column("training time", "per seed", stored="s"), "seconds", text.duration),
        (Column("CPU time", "per seed", stored="s"), "cpu_seconds", text.duration),
        (Column("peak memory", "in training", stored="bytes"), "peak_memory_bytes", text.size),
        (Column("steps", "of training"), "steps", text.count),
        (Column("updates", "by gradient"), "gradient_updates", text.count),
    ]
    frozen: list[tuple[Column, str, Any]] = [
        (Column("policy", "frozen, on disk", stored="bytes"), "graph_bytes", text.size),
        (Column("parameters"), "parameters", text.count),
        (Column("loading", "once", stored="s"), "load_s", lambda s: text.latency(s * 1e6)),
        (Column("decision", "p50", stored="µs"), "p50_us", text.latency),
        (
            Column("as training", "decisions that take as long"),
            "amortisation_decisions",
            text.count,
        ),
    ]
    cells = [
        [
            words(c.get("name"), t.get("settings") or "")
            for c, t in zip(contestants, training, strict=True)
        ]
    ]
    cells += [column(training, key, show, whys) for _, key, show in trained]
    cells += [column(spent, "joules", text.energy, no_energy)]
    cells += [_timed(evaluation, key, show) for _, key, show in frozen]
    cells += [_episodes(evaluation)]
    headings = [tables.CONTESTANT, *(c for c, _, _ in trained)]
    headings += [Column("energy", "of training, per seed", stored="J")]
    headings += [*(c for c, _, _ in frozen), Column("episode", "its decisions", stored="s")]
    caption = "Training is paid once per seed, a decision at every step"
    return table("costs", caption, headings, transposed(cells))


def _episodes(evaluation: Evaluation) -> list[Cell]:
    """Time of an episode's decisions, their energy below it."""
    cells = []
    for contestant in evaluation.contestants:
        name = str(contestant.get("name"))
        times = evaluation.times(name)
        episode = block(times, "episode")
        why = evaluation.times_reason(name) or reason(times, "episode")
        cell = tables.number(episode.get("seconds"), lambda s: text.latency(s * 1e6), why)
        if episode:
            joules = episode.get("joules")
            cell = dataclasses.replace(
                cell,
                below="energy unavailable" if joules is None else text.energy(joules),
                missing=reason(episode, "joules") if joules is None else "",
            )
        cells.append(cell)
    return cells


def _timed(evaluation: Evaluation, key: str, show: Any) -> list[Cell]:
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
    cells += [_timed(evaluation, key, text.tenths) for key in keys.values()]
    cells += [
        _timed(evaluation, "calls", text.count),
        _timed(evaluation, "steps_per_second", text.count),
    ]
    cells += [_timed(evaluation, "deadline_miss_rate", lambda share: f"{share:.2%}")]
    columns = [tables.CONTESTANT, *(Column(f"{heading} (µs)") for heading in keys)]
    columns += [
        Column("decisions timed"),
        Column("steps per second", "decision and environment step"),
    ]
    columns += [Column("deadline missed", "share of the decisions")]
    return table("times", "Time of one decision", columns, transposed(cells))


def robustness(evaluation: Evaluation) -> Table | None:
    """Scores at each level of the shift; None where nobody has any."""
    contestants = evaluation.contestants
    blocks = [block(c, "robustness") for c in contestants]
    levels = {lv["delta"]: lv.get("value") for b in blocks for lv in levels_of(b)}
    if not levels:
        return None
    whys = [reason(c, "robustness") for c in contestants]
    cells = [
        [tables.name(c) for c in contestants],
        *(
            intervals([block(b, key) for b in blocks], tables.whys(blocks, key, whys), 2)
            for key in ("auc", "worst")
        ),
    ]
    columns = [
        tables.CONTESTANT,
        Column("area", "under the score over [0, 1], mean of the shifts"),
        Column("worst level", "of all shifts"),
    ]
    for delta, value in sorted(levels.items()):
        columns.append(Column(f"{delta:g}", "" if value is None else f"{value:.4g}"))
        found = [_level(b, delta) for b in blocks]
        first = [curve_of(b) for b in blocks]
        cells.append(intervals(found, tables.whys(first, "levels", whys), 2))
    return table("levels", "Score at each magnitude of the shift", columns, transposed(cells))


def _level(robustness: Data, delta: float) -> Data:
    levels = [lv for lv in levels_of(robustness) if lv["delta"] == delta]
    return {**levels[0], "estimate": levels[0].get("score")} if levels else {}


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
    columns += [Column(f"seed {seed}") for seed in names]
    return table(
        "seeds", "Mean return per training seed", [tables.CONTESTANT, *columns], transposed(cells)
    )


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
    return table(
        "endings", caption, [tables.CONTESTANT, *(c for c, _, _ in shown)], transposed(cells)
    )


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

"""Both sides of the bill: what training cost once, and what every decision costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from rl_lab import paths
from rl_lab.reporting import tables, text
from rl_lab.reporting.details import timed
from rl_lab.reporting.stored import Data, Evaluation, block, reason
from rl_lab.reporting.tables import Cell, Column, Table, column, table, transposed, words

UNAVAILABLE = "unavailable"
Shown = tuple[Column, str, Callable[[float], str]]


def training(evaluation: Evaluation) -> Table:
    """What training cost, per seed."""
    contestants = evaluation.contestants
    blocks = [block(c, "training") for c in contestants]
    whys = [tables.NO_COST] * len(contestants)
    shown: list[Shown] = [
        (Column("training time", "per seed", stored="s"), "seconds", text.duration),
        (Column("CPU time", "per seed", stored="s"), "cpu_seconds", text.duration),
        (Column("peak memory", "in training", stored="bytes"), "peak_memory_bytes", text.size),
        (Column("steps", "of training"), "steps", text.count),
        (Column("updates", "by gradient"), "gradient_updates", text.count),
    ]
    names = [
        words(c.get("name"), t.get("settings") or "")
        for c, t in zip(contestants, blocks, strict=True)
    ]
    cells = [names, *(column(blocks, key, show, whys) for _, key, show in shown)]
    cells.append([_spent(one) if one else Cell("", missing=tables.NO_COST) for one in blocks])
    columns = [tables.CONTESTANT, *(c for c, _, _ in shown)]
    columns.append(Column("energy", "of the machine, per seed", stored="J"))
    caption = "Training is paid once per seed"
    how = "means over the training seeds; the table below has what is paid at every step instead."
    return table("costs", caption, columns, transposed(cells), how)


def inference(evaluation: Evaluation) -> Table:
    """What a decision of the frozen policy costs, and how many of them training would have paid."""
    times = [evaluation.times(str(c.get("name"))) for c in evaluation.contestants]
    shown: list[Shown] = [
        (Column("policy", "on disk", stored="bytes"), "graph_bytes", text.size),
        (Column("parameters"), "parameters", text.count),
        (Column("loading", "once", stored="s"), "load_s", _seconds),
        (Column("memory", "of a process", stored="bytes"), "memory_bytes", text.size),
        (Column("decision", "p50", stored="µs"), "p50_us", text.latency),
        (
            Column("as training", "decisions that take as long"),
            "amortisation_decisions",
            text.count,
        ),
    ]
    cells = [[tables.name(c) for c in evaluation.contestants]]
    cells += [timed(evaluation, key, show) for _, key, show in shown]
    absent = [evaluation.times_reason(str(c.get("name"))) for c in evaluation.contestants]
    cells.append([_energy(one, why) for one, why in zip(times, absent, strict=True)])
    cells.append([_episode(one, why) for one, why in zip(times, absent, strict=True)])
    columns = [tables.CONTESTANT, *(c for c, _, _ in shown)]
    columns.append(Column("energy", "per 1,000 decisions", stored="J"))
    columns.append(Column("episode", "its decisions", stored="s"))
    caption = "A decision is paid at every step"
    how = (
        'the column "as training" counts the decisions after which deciding has taken as long'
        " as learning did."
    )
    return table("inference", caption, columns, transposed(cells), how)


def _why(data: Data, key: str) -> str:
    """Why a part of `speed.json` is null."""
    return reason(data, key).replace(paths.SCORES, paths.SPEED)


def _seconds(seconds: float) -> str:
    return text.latency(seconds * 1e6)


def _joules(value: float | None, why: str) -> Cell:
    """Energy, which most machines do not count."""
    if value is None:
        return Cell(UNAVAILABLE, missing=why)
    return Cell(text.energy(value), "", value)


def _spent(one: Data) -> Cell:
    energy = block(one, "energy")
    if not energy:
        return Cell("", missing=reason(one, "energy"))
    return _joules(energy.get("joules"), reason(energy, "joules"))


def _energy(times: Data, absent: str) -> Cell:
    energy = block(times, "energy")
    if not energy:
        return Cell("", missing=absent or _why(times, "energy"))
    return _joules(energy.get("joules_per_1000"), _why(energy, "joules_per_1000"))


def _episode(times: Data, absent: str) -> Cell:
    """Time of an episode's decisions, their energy below it."""
    episode = block(times, "episode")
    cell = tables.number(episode.get("seconds"), _seconds, absent or _why(times, "episode"))
    if not episode:
        return cell
    joules = episode.get("joules")
    return dataclasses.replace(
        cell,
        below=f"energy {UNAVAILABLE}" if joules is None else text.energy(joules),
        missing=_why(episode, "joules") if joules is None else "",
    )


# Blocks of `speed.json`, and what they would have shown.
_PARTS = {
    "server": "response times under load",
    "offline": "decisions per second by batch",
    "multi_stream": "one call for many environments",
    "energy": "energy of a decision",
    "cold_start": "cold start and memory",
    "reference": "the same policy through the library that trained it",
}


def not_measured(evaluation: Evaluation) -> Sequence[tuple[str, str]]:
    """Parts of the speed measurement that some contestant lacks, and why."""
    found: dict[str, list[str]] = {}
    for contestant in evaluation.contestants:
        times = evaluation.times(str(contestant.get("name")))
        for key in _PARTS if times else ():
            if not times.get(key):
                found.setdefault(key, []).append(_why(times, key))
    return [(_PARTS[key], "; ".join(dict.fromkeys(whys))) for key, whys in found.items()]

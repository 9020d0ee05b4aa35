"""The measurement as a whole: fresh processes, contestants in turn, one file's content."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from rl_lab.errors import Failed
from rl_lab.evaluation.speed import (
    batches,
    cold_start,
    energy,
    flops,
    reference,
    server,
    surroundings,
)
from rl_lab.evaluation.speed.contrast import Known, contrast
from rl_lab.evaluation.speed.latency import single_stream
from rl_lab.evaluation.speed.loaded import THREADS, Loaded, load
from rl_lab.evaluation.speed.settings import Settings, left_out, missing
from rl_lab.frozen_policy import FrozenPolicy, load_policy

_BLOCK_CALLS = 500
Data = dict[str, Any]
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class _Job:
    """What a measuring process is told."""

    policies: Mapping[str, Path]
    settings: Settings
    step_limit: int
    imports: tuple[str, ...]
    deadline_us: float | None

    def load(self) -> dict[str, Loaded]:
        """All contestants, warm."""
        found = {n: load(p, self.step_limit, self.imports) for n, p in self.policies.items()}
        for contestant in found.values():
            contestant.warm_up(self.settings.warm_up_s)
        return found


@dataclasses.dataclass(frozen=True)
class _Clocked:
    """What one process measured of one policy in SingleStream."""

    latency_ns: np.ndarray
    steps_per_second: float
    load_s: float


def measure(
    policies: Mapping[str, Path],
    settings: Settings,
    step_limit: int,
    imports: tuple[str, ...],
    deadline_s: float | None,
    known: Mapping[str, Known],
    references: Mapping[str, Sequence[str] | str],
) -> Data:
    """Time the policies in fresh processes, interleaved so that drift hits all alike.

    Args:
        policies: One frozen policy per contestant.
        settings: How much is measured.
        step_limit: For environments without a limit of their own.
        imports: Packages that register environments.
        deadline_s: The environment's control period, or None.
        known: What is known of each contestant beside its decisions.
        references: The command that measures its reference row, or why there is none.

    Returns:
        The content of `speed.json`.

    Raises:
        Failed: A measuring process died.
    """
    before = surroundings.load_average()
    deadline_us = None if deadline_s is None else deadline_s * 1e6
    job = _Job(policies, settings, step_limit, imports, deadline_us)
    processes = [_in_fresh_process(_single_stream, job) for _ in range(settings.repeats - 1)]
    last, scenarios = _in_fresh_process(_all_scenarios, job)
    processes.append(last)
    starts = _cold_starts(policies, settings)
    rows = reference.measure({name: references[name] for name in policies})
    contestants = {
        name: {
            **_online([p[name] for p in processes], deadline_us),
            **scenarios[name],
            **starts[name],
            **rows[name],
            **_size(load_policy(folder)),
        }
        for name, folder in policies.items()
    }
    for name, data in contestants.items():
        data |= contrast(known[name], data)
    return {
        "format_version": 1,
        "machine": surroundings.card(before),
        "threads": THREADS,
        "settings": dataclasses.asdict(settings),
        "contestants": contestants,
    }


def _in_fresh_process(work: Callable[[_Job], T], job: _Job) -> T:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_answer, args=(there, work, job), daemon=True)
    process.start()
    there.close()
    try:
        answer: T = here.recv()
    except EOFError as error:
        raise Failed("the process that measures decision times died") from error
    finally:
        process.join()
    return answer


def _answer(pipe: Any, work: Callable[[_Job], object], job: _Job) -> None:
    pipe.send(work(job))


def _single_stream(job: _Job) -> dict[str, _Clocked]:
    return _clocked(job.load(), job.settings.calls)


def _all_scenarios(job: _Job) -> tuple[dict[str, _Clocked], dict[str, Data]]:
    contestants = job.load()
    return _clocked(contestants, job.settings.calls), _scenarios(contestants, job)


def _clocked(contestants: Mapping[str, Loaded], calls: int) -> dict[str, _Clocked]:
    latency_ns = _interleaved(contestants, calls)
    return {
        name: _Clocked(latency_ns[name], c.steps_per_second, c.load_s)
        for name, c in contestants.items()
    }


def _interleaved(contestants: Mapping[str, Loaded], calls: int) -> dict[str, np.ndarray]:
    """Blocks of calls in turn: A B C, A B C, ..."""
    latency_ns = {name: np.empty(calls, np.int64) for name in contestants}
    for start in range(0, calls, _BLOCK_CALLS):
        for name, contestant in contestants.items():
            _time_calls(contestant, latency_ns[name], start, min(start + _BLOCK_CALLS, calls))
    return latency_ns


def _time_calls(contestant: Loaded, out: np.ndarray, start: int, stop: int) -> None:
    act, state, clock = contestant.act, contestant.policy.reset(), time.perf_counter_ns
    observations = contestant.observations
    count = len(observations)
    for call in range(start, stop):
        observation = observations[call % count]
        before = clock()
        act(observation, state)
        after = clock()
        out[call] = after - before


def _scenarios(contestants: Mapping[str, Loaded], job: _Job) -> dict[str, Data]:
    """Everything but SingleStream; each scenario takes contestants in turn."""
    deciders = {name: c.decider() for name, c in contestants.items()}
    batchers = {name: c.batcher for name, c in contestants.items()}
    found: dict[str, Data] = {
        name: {"batch_mismatch_rate": c.batch_mismatch_rate()} for name, c in contestants.items()
    }
    sizes = {name: c.item_bytes() for name, c in contestants.items()}
    parts: list[tuple[str, str, Callable[[float], Mapping[str, Any]]]] = [
        ("server", "server_s", lambda s: server.sweep(deciders, s, job.deadline_us)),
        ("offline", "offline_s", lambda s: batches.offline(batchers, sizes, s)),
        ("multi_stream", "multi_stream_s", lambda s: batches.multi_stream(batchers, s)),
        ("energy", "energy_s", lambda s: energy.measure(deciders, s)),
    ]
    for key, setting, run in parts:
        budget_s = getattr(job.settings, setting)
        measured = run(budget_s) if budget_s > 0 else None
        for name, data in found.items():
            data |= left_out(key, setting) if measured is None else {key: measured[name]}
    return found


def _cold_starts(policies: Mapping[str, Path], settings: Settings) -> dict[str, Data]:
    if settings.cold_start_repeats:
        return cold_start.measure(policies, settings.cold_start_repeats)
    setting = "cold_start_repeats"
    data = {**left_out("cold_start", setting), **left_out("memory_bytes", setting)}
    return {name: dict(data) for name in policies}


def _online(processes: Sequence[_Clocked], deadline_us: float | None) -> Data:
    return {
        **single_stream([p.latency_ns for p in processes], deadline_us),
        "steps_per_second": round(float(np.median([p.steps_per_second for p in processes])), 1),
        "load_s": round(float(np.median([p.load_s for p in processes])), 5),
    }


def _size(policy: FrozenPolicy) -> Data:
    data = {"graph_bytes": len(policy.graph), "parameters": policy.card.parameters}
    try:
        return {**data, "flops": flops.count(policy.graph)}
    except flops.Uncountable as error:
        return {**data, **missing("flops", str(error))}

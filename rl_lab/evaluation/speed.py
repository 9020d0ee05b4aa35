"""How long one decision takes: MLPerf's SingleStream scenario, with our own numbers."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl_lab import episodes, seeding
from rl_lab.errors import Failed
from rl_lab.frozen_policy import FrozenPolicy, load_policy

_WARM_UP_CALLS = 200
_OBSERVATIONS = 512
_BLOCK_CALLS = 500
_ROLLOUT_STEPS = 3_000


@dataclasses.dataclass(frozen=True)
class Clocked:
    """What one process measured of one policy.

    Attributes:
        latency_ns: One entry per decision.
        steps_per_second: Decision and environment step together.
        load_s: From the folder to the first action.
    """

    latency_ns: np.ndarray
    steps_per_second: float
    load_s: float


def measure(
    policies: dict[str, Path],
    calls: int,
    repeats: int,
    step_limit: int,
    imports: tuple[str, ...],
    deadline_s: float | None,
) -> dict[str, dict[str, Any]]:
    """Time the policies in fresh processes, interleaved so that drift hits all alike.

    Args:
        policies: One frozen policy per contestant.
        calls: Decisions timed per policy and process.
        repeats: Processes, one after the other.
        step_limit: For environments without a limit of their own.
        imports: Packages that register environments.
        deadline_s: The environment's control period, or None.

    Raises:
        Failed: A measuring process died.
    """
    context = multiprocessing.get_context("spawn")
    measured: list[dict[str, Clocked]] = []
    for _ in range(repeats):
        here, there = context.Pipe()
        arguments = (there, policies, calls, step_limit, imports)
        process = context.Process(target=_measure_all, args=arguments, daemon=True)
        process.start()
        there.close()
        try:
            measured.append(here.recv())
        except EOFError as error:
            raise Failed("the process that measures decision times died") from error
        finally:
            process.join()
    return {
        name: _summary([m[name] for m in measured], load_policy(folder), deadline_s)
        for name, folder in policies.items()
    }


def _measure_all(
    pipe: Any, folders: dict[str, Path], calls: int, step_limit: int, imports: tuple[str, ...]
) -> None:
    policies, load_s, rate, observations = {}, {}, {}, {}
    for name, folder in folders.items():
        start = time.perf_counter()
        policies[name] = load_policy(folder)
        load_s[name] = time.perf_counter() - start
        observations[name], rate[name] = _roll(policies[name], step_limit, imports)
    latency_ns = _interleaved(policies, observations, calls)
    pipe.send({n: Clocked(latency_ns[n], rate[n], load_s[n]) for n in policies})


def _roll(
    policy: FrozenPolicy, step_limit: int, imports: tuple[str, ...]
) -> tuple[list[Any], float]:
    """Real observations, and the rate at which a whole step runs."""
    env = episodes.make_for(policy, imports=imports)
    limit = episodes.step_limit(env, step_limit)
    seen: list[Any] = []
    seed, steps, start = 0, 0, time.perf_counter()
    while steps < _ROLLOUT_STEPS:
        for observation, *_ in episodes.rollout(env, policy, seed, limit):
            steps += 1
            if len(seen) < _OBSERVATIONS:
                seen.append(observation)
        seed += 1
    rate = steps / (time.perf_counter() - start)
    env.close()
    order = seeding.generator(0, "speed").permutation(len(seen))
    return [seen[i] for i in order], rate


def _interleaved(
    policies: dict[str, FrozenPolicy], observations: dict[str, list[Any]], calls: int
) -> dict[str, np.ndarray]:
    """Blocks of calls in turn: A B C, A B C, ..."""
    latency_ns = {name: np.empty(calls, np.int64) for name in policies}
    for start in range(-_WARM_UP_CALLS, calls, _BLOCK_CALLS):
        for name, policy in policies.items():
            stop = min(start + _BLOCK_CALLS, calls)
            _time_calls(policy, observations[name], latency_ns[name], start, stop)
    return latency_ns


def _time_calls(
    policy: FrozenPolicy, observations: Sequence[Any], out: np.ndarray, start: int, stop: int
) -> None:
    """Time calls `start` to `stop`; those with a negative number warm up and are not kept."""
    act, state, clock, count = policy.act, policy.reset(), time.perf_counter_ns, len(observations)
    for call in range(start, stop):
        observation = observations[call % count]
        before = clock()
        act(observation, state)
        after = clock()
        if call >= 0:
            out[call] = after - before


def _summary(
    repeats: Sequence[Clocked], policy: FrozenPolicy, deadline_s: float | None
) -> dict[str, Any]:
    latency_us = np.concatenate([r.latency_ns for r in repeats]) / 1e3
    per_process_us = [float(np.percentile(r.latency_ns, 90)) / 1e3 for r in repeats]
    p50, p90, p99 = (float(np.percentile(latency_us, q)) for q in (50, 90, 99))
    deadline_us = deadline_s * 1e6 if deadline_s is not None else None
    return {
        "calls": len(latency_us),
        "p50_us": round(p50, 3),
        "p90_us": round(p90, 3),
        "p99_us": round(p99, 3),
        "max_us": round(float(latency_us.max()), 3),
        "mean_us": round(float(latency_us.mean()), 3),
        "p90_low_us": round(min(per_process_us), 3),
        "p90_high_us": round(max(per_process_us), 3),
        "steps_per_second": round(float(np.median([r.steps_per_second for r in repeats])), 1),
        "load_s": round(float(np.median([r.load_s for r in repeats])), 5),
        "graph_bytes": len(policy.graph),
        "parameters": policy.card.parameters,
        "deadline_us": deadline_us,
        "deadline_miss_rate": (
            float((latency_us > deadline_us).mean()) if deadline_us is not None else None
        ),
    }

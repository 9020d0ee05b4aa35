"""Reference rows: the same policy through the library that trained it, in a process of its own.

That process alone imports torch and the library; this module only starts it and, inside it, holds
the clock. Both paths decide in turn on the same observations, so that drift hits both alike.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rl_lab.agent import Reference
from rl_lab.evaluation.speed.batches import mismatch_rate
from rl_lab.evaluation.speed.latency import PERCENTS, known
from rl_lab.evaluation.speed.loaded import Loaded, all_allowed, stack, tolerance
from rl_lab.evaluation.speed.settings import missing

BATCHES = (64, 1024)
_BLOCK_CALLS = 100
_MOST_CALLS = 2_000
_BATCH_CALLS = 30
_TIMEOUT_S = 600.0
Data = dict[str, Any]


class _Watched(Sequence[Any]):
    """Observations for a rollout that note when each of them was asked for.

    A training library's path takes a sequence of batches of one; from one question to the next it
    makes exactly one decision, with all that it does around it.
    """

    def __init__(self, observations: Sequence[Any]) -> None:
        self._batches = [stack([o], 1) for o in observations]
        self.asked_ns: list[int] = []

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: Any) -> Any:
        return self._batches[index]

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            self.asked_ns.append(time.perf_counter_ns())
            yield batch
        self.asked_ns.append(time.perf_counter_ns())


def compare(reference: Reference, contestant: Loaded, calls: int) -> Data:
    """Time both paths in turn; what the process in its own writes down.

    Args:
        reference: The library's path, for sequences of batches.
        contestant: The frozen policy, warm, with its observations.
        calls: Decisions of each.
    """
    calls = min(calls, _MOST_CALLS)
    theirs, ours = np.empty(calls), np.empty(calls)
    same: list[bool] = []
    _decide(reference, contestant, contestant.observations[:_BLOCK_CALLS])
    for start in range(0, calls, _BLOCK_CALLS):
        some = [
            contestant.observations[i % len(contestant.observations)]
            for i in range(start, min(start + _BLOCK_CALLS, calls))
        ]
        one, two, equal = _decide(reference, contestant, some)
        theirs[start : start + len(some)], ours[start : start + len(some)] = one, two
        same += equal
    return {
        "calls": calls,
        **_percentiles(theirs, ""),
        **_percentiles(ours, "frozen_"),
        "times_faster": round(float(np.median(theirs) / np.median(ours)), 2),
        "mismatch_rate": round(1.0 - float(np.mean(same)), 6),
        "batches": [_batch(reference, contestant, size) for size in BATCHES],
    }


def _decide(
    reference: Reference, contestant: Loaded, observations: Sequence[Any]
) -> tuple[np.ndarray, np.ndarray, list[bool]]:
    """Microseconds of each decision of one episode, by either path; which of them agree."""
    watched, masks = _Watched(observations), all_allowed(contestant.policy, 1)
    theirs = reference(watched, None if masks is None else [masks] * len(observations))
    act, state, clock = contestant.act, contestant.policy.reset(), time.perf_counter_ns
    taken, actions = [], []
    for observation in observations:
        before = clock()
        action, state = act(observation, state)
        taken.append(clock() - before)
        actions.append(action)
    limit = tolerance(contestant.policy.action_space)
    pairs = zip(actions, theirs, strict=True)
    same = [mismatch_rate(np.asarray(mine)[None], its, limit) == 0.0 for mine, its in pairs]
    return np.diff(watched.asked_ns) / 1e3, np.array(taken) / 1e3, same


def _percentiles(times_us: np.ndarray, prefix: str) -> Data:
    found = [known(times_us, q, f"{prefix}p{q}_us") for q in PERCENTS]
    return {
        **{k: v for one in found for k, v in one.items()},
        f"{prefix}mean_us": round(float(times_us.mean()), 3),
    }


def _batch(reference: Reference, contestant: Loaded, size: int) -> Data:
    """Decisions per second of either path for so many observations at once."""
    batch, masks = stack(contestant.observations, size), all_allowed(contestant.policy, size)
    paths: dict[str, Callable[[], object]] = {
        "decisions_per_s": lambda: reference([batch], None if masks is None else [masks]),
        "frozen_decisions_per_s": lambda: contestant.policy.act_batch(batch, (), masks),
    }
    times: dict[str, list[float]] = {name: [] for name in paths}
    for call in range(_BATCH_CALLS + 3):
        for name, path in paths.items():
            start = time.perf_counter()
            path()
            if call >= 3:
                times[name].append(time.perf_counter() - start)
    rates = {name: size / float(np.median(taken)) for name, taken in times.items()}
    return {"size": size, **{name: round(rate, 1) for name, rate in rates.items()}}


def measure(commands: Mapping[str, Sequence[str] | str]) -> dict[str, Data]:
    """Run one process per contestant, one after the other.

    Args:
        commands: Contestant -> the command that prints what `compare` gives as its last line, or
            the reason why there is none.

    Returns:
        Contestant -> `reference`, or null and `reference_reason`.
    """
    return {name: _row(command) for name, command in commands.items()}


def _row(command: Sequence[str] | str) -> Data:
    if isinstance(command, str):
        return missing("reference", command)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        return missing("reference", f"its process failed: {type(error).__name__}")
    lines = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    if done.returncode or not lines:
        said = lines[-1] if lines else f"exit {done.returncode}"
        return missing("reference", f"its process failed: {said[:300]}")
    return {"reference": json.loads(lines[-1])}

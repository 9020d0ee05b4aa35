"""One trial: its trainings one after the other, watched by their frozen evaluations."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rl_lab import paths, runs, tracking
from rl_lab.errors import Failed
from rl_lab.frozen_policy import golden, load_policy
from rl_lab.tracking import tags

_LOOK_EVERY_S, _ASK_AGAIN_S = 0.2, 2.0
HELD = "held"
_CALLS, _PARTS = 2_000, 5
AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "worst": min,
}


class Training(Protocol):
    """A training that goes on in a process of its own."""

    folder: Path

    def poll(self) -> str | None:
        """How it ended: `complete`, `interrupted`, `failed`, or `held` by another; or None."""

    def reason(self) -> str:
        """Why it failed."""

    def value(self) -> float:
        """Mean return of its final policy on its selection seeds, once it is complete."""

    def stop(self) -> None:
        """Ask it to stop and wait for it."""


class Stopped(Exception):
    """The worker was asked to stop; the trial did not end."""


@dataclasses.dataclass(frozen=True)
class Result:
    """How a trial ended.

    Attributes:
        returns: Mean return of each training seed's final policy on its selection seeds.
        pruned: Whether it was given up.
        runs: The folders of its runs.
    """

    returns: tuple[float, ...]
    pruned: bool
    runs: tuple[Path, ...]


def run(
    start: Callable[[int], Training],
    seeds: Sequence[int],
    aggregate: str,
    report: Callable[[float, int], bool],
    stopping: Callable[[], bool],
) -> Result:
    """Train every seed of a trial.

    Args:
        start: Starts the training of a seed.
        seeds: Training seeds.
        aggregate: How the seeds' returns become one number.
        report: Told that number after each frozen evaluation, with its place among those of the
            whole trial; True gives the trial up.
        stopping: Whether to stop here.

    Raises:
        Stopped: `stopping` said so.
        Failed: A training failed.
    """
    done: list[float] = []
    folders: list[Path] = []
    place = 0
    for seed in seeds:
        training = start(seed)
        folders.append(training.folder)
        seen = 0
        while True:
            status = training.poll()
            points = selection(training.folder)
            for value in points[seen:]:
                place += 1
                if report(AGGREGATES[aggregate]([*done, value]), place):
                    training.stop()
                    return Result((*done, value), True, tuple(folders))
            seen = max(seen, len(points))
            if status not in (None, HELD):
                break
            if stopping():
                training.stop()
                raise Stopped
            time.sleep(_LOOK_EVERY_S if status is None else _ASK_AGAIN_S)
            if status == HELD:
                # A trial with equal values, or what a dead worker left: this run is ours as well.
                training = start(seed)
        _require_complete(training, str(status))
        done.append(training.value())
    return Result(tuple(done), False, tuple(folders))


def _require_complete(training: Training, status: str) -> None:
    if status == runs.INTERRUPTED:
        raise Stopped
    if status != runs.COMPLETE:
        raise Failed(training.reason())


def selection(folder: Path) -> list[float]:
    """Mean returns of a run's frozen evaluations so far."""
    if not (folder / paths.RUN_METRICS).is_file():
        return []
    found = (point.get(tags.SELECTION_RETURN) for point in tracking.read_metrics(folder))
    return [value for value in found if value is not None and math.isfinite(value)]


def latency_us(folder: Path) -> float:
    """Median time of one decision of a frozen policy, in microseconds: the best of five parts."""
    policy = load_policy(folder)
    card = policy.card
    vectors = golden.read(card.golden, card.observation_space, card.action_space, card.action_masks)
    observation: Any = vectors.first
    mask = vectors.masks
    arguments = () if mask is None else (mask[0],)
    medians = []
    for _ in range(_PARTS):
        times = []
        state = policy.reset()
        for _ in range(_CALLS // _PARTS):
            start = time.perf_counter_ns()
            _, state = policy.act(observation, state, *arguments)
            times.append(time.perf_counter_ns() - start)
        medians.append(statistics.median(times))
    return min(medians) / 1e3

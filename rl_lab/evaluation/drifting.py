"""Drift in an evaluation: each episode lived with the context moving, and once without."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl_lab import drift_records, episodes, files, paths, runs
from rl_lab.drift import storing
from rl_lab.drift.monitor import tracker_of
from rl_lab.drift.tracking import Tracker
from rl_lab.drift_records import DriftRecord
from rl_lab.errors import BadInput
from rl_lab.evaluation import plan, runner
from rl_lab.evaluation.journal import Journal, go_on, without_done
from rl_lab.evaluation.plan import Entrant, Failure, Task
from rl_lab.evaluation.runner import Settings
from rl_lab.evaluation.working import Engine
from rl_lab.frozen_policy import FrozenPolicy
from rl_lab.shifts import Context

# Fields of a record that need a reference.
_OF_MONITOR = (
    "alarm_step", "residual_after", "novelty_after", "samples", "reference_novelty",
    "false_alarm_rate", "sd_s", "categories",
)  # fmt: skip
_JOURNAL = "drift.journal.jsonl"


def journal(folder: Path, work: Sequence[Task], change_step: int) -> Journal[DriftRecord]:
    """Where an evaluation's finished episodes of this kind stand.

    What a policy's monitor saw depends on the reference beside it, and what comes after the change
    on its step: episodes lived with others are passed over, and so lived anew.

    Args:
        folder: The evaluation's folder.
        work: As `tasks` gives it.
        change_step: Steps of an episode before its context moves.
    """
    places = {(task.contestant, task.training_seed): task.folder for task in work}
    lived_with = {who: (change_step, storing.file_sha256(place)) for who, place in places.items()}

    def read(path: Path) -> list[DriftRecord]:
        found = drift_records.read_journal(path)
        return [r for r in found if lived_with.get((r.contestant, r.training_seed)) == _with(r)]

    return Journal(folder / _JOURNAL, read, drift_records.to_line)


def _with(record: DriftRecord) -> tuple[int, str]:
    return record.change_step, record.reference_sha256


def tasks(
    contestants: Sequence[Entrant],
    moving: Sequence[tuple[Context, Sequence[int]]],
    seeds: Sequence[int],
) -> Sequence[Task]:
    """All the work: every moving context, and the training context once for all of them.

    Args:
        contestants: Whose policies.
        moving: Contexts, each with the evaluation seeds faced there.
        seeds: All evaluation seeds.
    """
    return plan.tasks(contestants, seeds, moving)


def engine(
    work: Sequence[Task],
    contestants: Sequence[Entrant],
    folder: Path,
    settings: Settings,
    change_step: int,
) -> Engine:
    """How the episodes are lived, after every world has been tried.

    Args:
        work: As `tasks` gives it.
        contestants: Whose it is.
        folder: The evaluation's folder, which may not be there yet.
        settings: How episodes are run.
        change_step: Steps of an episode before its context moves.

    Raises:
        BadInput: A shift cannot move so, or changes nothing.
    """
    left = without_done(work, journal(folder, work, change_step).done(work))
    made = runner.engine_for(left, contestants, settings)
    return dataclasses.replace(made, live=_Live(change_step))


def measure(
    work: Sequence[Task],
    how: Engine,
    folder: Path,
    processes: int,
    change_step: int,
    on_episodes: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[DriftRecord], list[Failure]]:
    """Live what has not been lived yet, and write `drift.csv`.

    Args:
        work: As `tasks` gives it.
        how: As `engine` gives it.
        folder: The evaluation's folder.
        processes: How many at a time.
        change_step: As `engine` takes it.
        on_episodes: Told how many episodes of how many are done.
    """
    with runs.exclusive(folder, "evaluating"):
        lived = journal(folder, work, change_step)
        found, failures = go_on(lived, work, how, processes, on_episodes)
        found.sort(key=lambda r: r.key)
        files.write_text(folder / paths.DRIFT, drift_records.to_csv(found))
    return found, failures


@dataclasses.dataclass(frozen=True)
class _Live:
    """Lives one episode of a task; what a worker is handed instead of a plain episode.

    Attributes:
        change_step: Steps of an episode before the context moves.
    """

    change_step: int

    def __call__(
        self,
        task: Task,
        policy: FrozenPolicy,
        env: Any,
        seed: int,
        limit: int,
        note: Callable[[int], None],
    ) -> DriftRecord:
        watch = _Watch(policy, self.change_step)
        rewards: list[float] = []
        last: episodes.Transition | None = None
        for last in episodes.rollout(env, policy, seed, limit):
            watch.step(last[0], last[1])
            rewards.append(last[2])
            note(len(rewards))
        assert last is not None
        after = rewards[self.change_step :]
        return DriftRecord(
            contestant=task.contestant,
            training_seed=task.training_seed,
            shift=task.context.shift_name,
            delta=task.context.delta,
            schedule=task.context.schedule_name,
            evaluation_seed=seed,
            length=len(rewards),
            terminated=bool(last[3]),
            truncated=bool(last[4]),
            episode_return=math.fsum(rewards),
            return_after=math.fsum(after),
            recovery=_recovery(after),
            change_step=self.change_step,
            **watch.findings(),
        )


def _recovery(after: Sequence[float]) -> float | None:
    third = len(after) // 3
    if third == 0:
        return None
    return math.fsum(after[-third:]) / third - math.fsum(after[:third]) / third


class _Watch:
    """The monitor over a whole episode, and a second look at what comes after the change."""

    def __init__(self, policy: FrozenPolicy, change_step: int) -> None:
        self._change, self._seen = change_step, 0
        self._alarm_step: int | None = None
        self._whole: Tracker | None = None
        assert policy.folder is not None
        self._sha256 = storing.file_sha256(policy.folder)
        try:
            card = policy.card
            self._reference = storing.load(policy.folder, card.onnx_sha256)
            spaces = (self._reference, card.observation_space, card.action_space)
            self._whole, self._after = tracker_of(*spaces), tracker_of(*spaces)
            self._missing = ""
        except BadInput as error:
            self._missing = str(error)

    def step(self, observation: Any, action: Any) -> None:
        """Take what the policy saw and did."""
        if self._whole is None:
            return
        threshold = self._reference.threshold
        cusum = self._whole.step(observation, action)
        self._seen += 1
        if threshold is not None and cusum > threshold and self._alarm_step is None:
            self._alarm_step = self._seen
        if self._seen > self._change:
            self._after.step(observation, action)

    def findings(self) -> dict[str, Any]:
        """The monitor's part of a record."""
        if self._whole is None:
            missing = {**dict.fromkeys(_OF_MONITOR), "no_monitor": self._missing}
            return {**missing, "reference_sha256": self._sha256}
        reference, after = self._reference, self._after
        alarmed = reference.threshold is not None
        return {
            "alarm_step": self._alarm_step,
            "residual_after": after.residual,
            "novelty_after": after.novelty_rate if after.steps else None,
            "samples": after.samples if after.steps else np.empty((0, len(reference.sd_s))),
            "no_monitor": "" if alarmed else f"no alarm: {reference.model_reason}",
            "reference_novelty": reference.novelty_rate,
            "false_alarm_rate": reference.false_alarm_rate if alarmed else None,
            "sd_s": reference.sd_s,
            "categories": reference.categories,
            "reference_sha256": self._sha256,
        }

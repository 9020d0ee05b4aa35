"""Choosing the best snapshot of a training, on seeds that are used for nothing else."""

from __future__ import annotations

import dataclasses
import math
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Any

import gymnasium

from rl_lab import episodes, frozen_policy, paths, seeding
from rl_lab.environments import CheckedEnv
from rl_lab.frozen_policy import FrozenPolicy
from rl_lab.tracking import tags
from rl_lab.training.plan import RunPlan


@dataclasses.dataclass(frozen=True)
class Played:
    """An episode on a selection seed; `success` is the environment's own word, if it has one."""

    episode_return: float
    length: int
    success: bool | None


def played(plan: RunPlan, policy: FrozenPolicy) -> list[Played]:
    """A policy's episodes on a run's selection seeds."""
    seeds = seeding.selection_seeds(plan.seed, plan.training.selection_episodes)
    return [_episode(plan, policy, seed) for seed in seeds]


def mean_return(plan: RunPlan, policy: FrozenPolicy) -> float:
    """Mean return of a policy's episodes on a run's selection seeds."""
    return statistics.fmean(one.episode_return for one in played(plan, policy))


def _episode(plan: RunPlan, policy: FrozenPolicy, seed: int) -> Played:
    env = _Heard(CheckedEnv(plan.make_env()))
    try:
        limit = episodes.step_limit(env, plan.selection_step_limit)
        episode = episodes.run_episode(env, policy, seed, limit)
    finally:
        env.close()
    success = env.info.get("is_success")
    return Played(
        episode.episode_return, episode.length, None if success is None else bool(success)
    )


class _Heard(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps what the environment said last."""

    info: Mapping[str, Any] = {}

    def step(self, action: Any) -> Any:
        result = self.env.step(action)
        self.info = result[4]
        return result


class Selection:
    """The evaluations of a run on its selection seeds, and the best policy so far.

    Args:
        plan: The run.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        every = plan.training.selection_every_steps
        self._every = self._next = every if every > 0 else sys.maxsize
        self.points: list[dict[str, Any]] = []
        self.best = (-math.inf, 0)
        self.seconds = 0.0

    def due(self, step: int) -> bool:
        """Whether the policy is to be evaluated now; asking takes note of it."""
        if step < self._next:
            return False
        self._next += (step - self._next) // self._every * self._every + self._every
        return True

    def evaluate(self, step: int, policy: FrozenPolicy) -> dict[str, float]:
        """Evaluate a policy, and keep it where it is the best.

        Returns:
            Tag -> number, for the run's metrics.
        """
        start = time.monotonic()
        found = played(self._plan, policy)
        returns, lengths = [one.episode_return for one in found], [one.length for one in found]
        mean = statistics.fmean(returns)
        point = {"step": step, "mean_return": mean, "returns": returns, "lengths": lengths}
        self.points.append(point)
        if self._plan.snapshots:
            frozen_policy.save(policy, paths.snapshot_folder(self._plan.folder, step))
        # At equal return the later snapshot has learned from more.
        if mean >= self.best[0]:
            self.best = (mean, step)
            frozen_policy.save(policy, self._plan.folder / "best")
        self.seconds += time.monotonic() - start
        values = {tags.SELECTION_RETURN: mean, tags.SELECTION_LENGTH: statistics.fmean(lengths)}
        known = [one.success for one in found if one.success is not None]
        return {**values, tags.SELECTION_SUCCESS: statistics.fmean(known)} if known else values

    def scores(self) -> dict[int, float]:
        """Step -> mean return."""
        return {int(point["step"]): point["mean_return"] for point in self.points}

    def state(self) -> dict[str, Any]:
        """What must outlast an interruption."""
        return {"points": self.points, "best": self.best, "next": self._next}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what outlasted one."""
        self.points, self.best, self._next = state["points"], state["best"], state["next"]

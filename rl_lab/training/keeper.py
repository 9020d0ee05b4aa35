"""When checkpoints are taken, what they cost, and what happens where one cannot be written."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rl_lab import checkpoints, paths
from rl_lab.agent import Agent
from rl_lab.checkpoints import Checkpoint
from rl_lab.errors import Failed
from rl_lab.states import REPLAY, State
from rl_lab.states.strategies import BARRIER
from rl_lab.training.plan import Work
from rl_lab.training.starting import Start, made_with

# Checkpoints by time wait until training has taken so many times as long as the last one took.
_COST_FACTOR = 100
_MOST_MISSES = 3
BEST = "best"


class Keeper:
    """Takes the checkpoints of one training.

    Args:
        plan: The training.
        begun: How it began.
        tell: Told what a user should know, a line at a time.
    """

    def __init__(self, plan: Work, begun: Start, tell: Callable[[str], None]) -> None:
        self._plan, self._begun, self._tell = plan, begun, tell
        self._settings = plan.checkpoint
        self._root = plan.folder / paths.CHECKPOINTS
        self._previous = begun.checkpoint
        self._barrier = begun.verdict.strategy == BARRIER
        self._every = self._settings.every_steps
        if self._barrier and self._previous is not None:
            # Where a checkpoint cuts episodes, its rhythm is part of the result.
            self._every = self._previous.manifest["every_steps"]
        self._next = self._every
        self._last_s = time.monotonic()
        self._misses = 0
        self.seconds, self.count = 0.0, 0

    @property
    def step(self) -> int | None:
        """The step of the newest checkpoint; None while there is none."""
        return self._previous.step if self._previous else None

    def state(self) -> dict[str, Any]:
        """What must outlast an interruption."""
        return {"next": self._next}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what outlasted one."""
        # Another rhythm than before an interruption is taken up from here on.
        self._next = state["next"]
        if not self._barrier and self.step is not None:
            self._next = (self.step // self._every + 1) * self._every

    def due(self, step: int, stopped: bool) -> bool:
        """Whether a checkpoint is to be taken at a boundary."""
        if step == self.step or step == 0:
            return False
        if self._barrier:
            return step >= self._next
        return stopped or step >= self._next or self._is_time()

    def _is_time(self) -> bool:
        if not self._settings.every_s:
            return False
        cost = self.seconds / self.count if self.count else 0.0
        passed = time.monotonic() - self._last_s
        return passed >= max(self._settings.every_s, _COST_FACTOR * cost)

    def before(self, step: int, agent: Agent) -> None:
        """Do what must be done before the state is read."""
        while self._next <= step:
            self._next += self._every
        if self._barrier:
            agent.renew_environments(self._plan.renewal_seed(step // self._every))

    def save(self, step: int, state: State, scores: Mapping[int, float]) -> None:
        """Commit a checkpoint, then let go of those that need not stay.

        Args:
            step: Environment steps done.
            state: Of the agent and the run.
            scores: Mean returns on the selection seeds, by step.

        Raises:
            Failed: It could not be written, several times in a row.
        """
        start = time.monotonic()
        try:
            self._previous = self._write(step, state)
            self._misses = 0
        except Failed as error:
            self._misses += 1
            if self._misses >= _MOST_MISSES:
                raise
            self._tell(f"warning: no checkpoint at step {step}: {error}")
        else:
            keep = self._settings
            self._prune(
                checkpoints.Keep(keep.keep_last, keep.keep_best, keep.keep_every_steps), scores
            )
        self._last_s = time.monotonic()
        self.seconds += self._last_s - start
        self.count += 1

    def finish(self, step: int, state: State) -> None:
        """Commit the final checkpoint, from which another training can go on; others go.

        Raises:
            Failed: It could not be written.
        """
        if not self._settings.keep_replay_buffer:
            state = state.without(REPLAY)
        self._previous = self._write(step, state)
        self._prune(checkpoints.Keep(1, False, self._settings.keep_every_steps), {})

    def let_go(self) -> None:
        """Take all checkpoints away; those that were set aside as damaged stay."""
        self._prune(checkpoints.Keep(0, False, 0), {})

    def _write(self, step: int, state: State) -> Checkpoint:
        plan, begun = self._plan, self._begun
        facts = {
            **plan.identity,
            "environment": plan.environment.to_data(),
            "agent": plan.agent,
            "level": begun.promise.level,
            "reasons": list(begun.promise.reasons),
            "verdict": dataclasses.asdict(begun.verdict),
            "every_steps": self._every,
            "made_with": made_with(plan),
        }
        best = plan.folder / BEST
        attached: dict[str, Path] = {BEST: best} if best.is_dir() else {}
        return checkpoints.write(self._root, step, state, facts, attached, self._previous)

    def _prune(self, keep: checkpoints.Keep, scores: Mapping[int, float]) -> None:
        for complaint in checkpoints.prune(self._root, keep, scores):
            self._tell(f"warning: {complaint}")

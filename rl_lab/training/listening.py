"""What all listeners to an agent do: promise, checkpoints, notes."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from rl_lab import states
from rl_lab.agent import Agent, TracedPolicy
from rl_lab.errors import LabError
from rl_lab.frozen_policy import FrozenPolicy
from rl_lab.runs import Progress
from rl_lab.states import State
from rl_lab.states.strategies import RESET
from rl_lab.training import starting
from rl_lab.training.diary import Diary
from rl_lab.training.keeper import Keeper
from rl_lab.training.plan import Work
from rl_lab.training.starting import Start

Freeze = Callable[[TracedPolicy, Mapping[str, Any]], FrozenPolicy]
# The part of a checkpoint's state that is the training's, beside those of the agent.
RUN = "run"
W = TypeVar("W", bound=Work)
L = TypeVar("L", bound="Listening[Any]")


class Listening(ABC, Generic[W]):
    """Keeps a training's promise, its checkpoints and its diary.

    Args:
        plan: The training.
        agent: Who learns.
        freeze: Turns the agent's policy into a frozen one.
        begun: How it begins; from a checkpoint, agent and listener are put back to it.
        on_progress: Told about progress a few times per second.
        tell: Told what a user should know, a line at a time.
    """

    def __init__(
        self,
        plan: W,
        agent: Agent,
        freeze: Freeze,
        begun: Start,
        on_progress: Callable[[Progress], None],
        tell: Callable[[str], None],
    ) -> None:
        self._plan, self._agent, self._freeze = plan, agent, freeze
        self._begun, self._tell, self._promised = begun, tell, False
        self._keeper = Keeper(plan, begun, tell)
        # Where environments cannot be put back, new ones must not get old observations.
        self._renew = begun.checkpoint is not None and begun.verdict.strategy == RESET
        self._digest: str | None = None
        self.step = self._begun_at = 0
        self.ended: str | None = None
        self.fault: LabError | None = begun.fault
        self.stopped = self.finished = False
        self._begin()
        self._diary = Diary(plan, on_progress, self._put_back() if begun.checkpoint else None)

    @property
    def saved_step(self) -> int | None:
        """Where the same command would go on; None is the beginning."""
        return self._keeper.step

    def __enter__(self: L) -> L:
        return self

    def __exit__(self, *exception: object) -> None:
        self._diary.close()

    @abstractmethod
    def _begin(self) -> None:
        """Set what is the subclass's own, before all is put back to a checkpoint."""

    @abstractmethod
    def _own(self, arrays: dict[str, np.ndarray], lost: list[str]) -> dict[str, Any]:
        """What a checkpoint must hold of the subclass; `arrays` and `lost` receive."""

    @abstractmethod
    def _take(self, own: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Put the subclass back to what `_own` gave."""

    def _kept(self, scores: Callable[[], Mapping[int, float]]) -> bool:
        """At a boundary: say what is promised, save where it is due; False ends the training."""
        if not self._promised:
            self._state()  # shows what cannot be saved
            starting.tell_promise(self._plan, self._begun, self._tell)
            self._promised = True
        if self._renew:
            self._renew = False
            self._agent.renew_environments(self._plan.renewal_seed(self.step))
        final = self.step >= self._plan.steps
        if self._keeper.due(self.step, self.stopped) and (self.stopped or not final):
            self._keeper.before(self.step, self._agent)
            self._keeper.save(self.step, self._state(), scores())
        return not self.stopped

    def _state(self) -> State:
        """The agent's state and the training's."""
        state = self._agent.state()
        arrays: dict[str, np.ndarray] = {}
        lost: list[str] = []
        own = {
            "step": self.step,
            "keeper": self._keeper.state(),
            **self._diary.state(),
            **self._own(arrays, lost),
        }
        data = {**state.data, RUN: states.encode(own, arrays, RUN)}
        self._lose([*state.lost, *lost])
        return dataclasses.replace(state, data=data, arrays={**state.arrays, **arrays})

    def _lose(self, lost: Iterable[str]) -> None:
        if self._begun.promise.lose(lost) and self._promised:
            starting.tell_promise(self._plan, self._begun, self._tell)

    def _put_back(self) -> dict[str, Any]:
        """Put agent and listener back; returns what the diary needs."""
        assert self._begun.checkpoint is not None
        state = self._begun.checkpoint.state()
        self._agent.restore(state, states.ALL)
        own: dict[str, Any] = states.decode(state.data[RUN], state.arrays, None)
        self.step = self._begun_at = own["step"]
        self._keeper.restore(own["keeper"])
        self._take(own, state.arrays)
        return own

"""The agent's listener: metrics, heartbeats, checkpoints, selection, reasons to end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_lab import checkpoints, frozen_policy, provenance, states
from rl_lab.drift.accompanying import accompany
from rl_lab.environments import CheckedEnv
from rl_lab.frozen_policy import FrozenPolicy
from rl_lab.shifts import Drawn
from rl_lab.tracking import tags
from rl_lab.training import card
from rl_lab.training.callbacks import Moment
from rl_lab.training.diary import policy_facts
from rl_lab.training.listening import RUN, Listening
from rl_lab.training.plan import RunPlan
from rl_lab.training.selecting import Selection


class Recorder(Listening[RunPlan]):
    """Listens to an agent on behalf of a run folder."""

    def _begin(self) -> None:
        self._selection = Selection(self._plan)
        self._reference_s = 0.0
        self._no_reference = ""
        # Of callbacks, as an interruption left it.
        self._lost: list[str] = []

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Keep one log point."""
        self._diary.metrics(step, values)

    def boundary(self, step: int) -> bool:
        """Save the state, then evaluate the weights, where it is due; False ends the training.

        In this order the same boundary can be gone through again after an interruption: what was
        saved is the state before the evaluation.
        """
        self.step = step
        if not self._kept(self._selection.scores):
            return False
        if self._selection.due(step):
            self.metrics(step, self._selection.evaluate(step, self._frozen(step)))
        self._diary.heartbeat(step)
        if self.ended is None:
            self.ended = self._reason_to_end(step)
        return self.ended is None

    def _reason_to_end(self, step: int) -> str | None:
        """What ends the training before its steps are done; None goes on."""
        seconds = self._diary.clock.seconds()
        limit = self._plan.training.seconds
        if limit is not None and seconds >= limit:
            return f"training.seconds={limit:g} of wall time are over"
        if not self._plan.callbacks:
            return None

        def log(values: Mapping[str, float]) -> None:
            self.metrics(step, values)

        points = self._selection.points
        moment = Moment(step, seconds, self._diary.latest, points, log, self._agent)
        for name, callback in self._plan.callbacks.items():
            if reason := callback(moment):
                return f"{name}: {reason}"
        return None

    def finish(self) -> None:
        """Freeze the final policy and leave the final checkpoint."""
        policy = self._frozen(self.step)
        frozen_policy.save(policy, self._plan.folder / "policy")
        if not self._selection.points:
            frozen_policy.save(policy, self._plan.folder / "best")
        self._accompany()
        state = self._state()
        self._digest = checkpoints.digest(state, states.ALL)
        self._keeper.finish(self.step, state)
        scores = {tags.BEST_RETURN: self._selection.best[0]} if self._selection.points else {}
        self._diary.events.hparams(card.hyperparameters(self._plan), scores)
        self.finished = True

    def _own(self, arrays: dict[str, np.ndarray], lost: list[str]) -> dict[str, Any]:
        lost += self._lost
        clock = {**self._diary.clock.state(), "selection_seconds": self._selection.seconds}
        return {
            "ended": self.ended,
            "selection": self._selection.state(),
            "callbacks": self._callback_states(arrays, lost),
            "clock": clock,
        }

    def _accompany(self) -> None:
        """Give the policies the statistics of their own world."""
        start = time.monotonic()
        folders = [self._plan.folder / name for name in ("policy", "best")]
        self._no_reference = accompany(
            folders, lambda: CheckedEnv(self._plan.make_env()), self._plan.monitoring
        )
        self._reference_s = time.monotonic() - start

    def _callback_states(self, arrays: dict[str, np.ndarray], lost: list[str]) -> list[Any]:
        found = []
        for name, callback in self._plan.callbacks.items():
            if states.is_code(callback):
                continue
            try:
                kept = states.encode(callback, arrays, f"{RUN}.callbacks.{name}", lost)
                found.append([name, json.dumps(kept)])
            except states.StateMismatch:
                lost.append(f"callback.{name} (a {type(callback).__name__})")
        return found

    def _take(self, own: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        self.ended = own["ended"]
        self._selection.restore(own["selection"])
        self._selection.seconds = own["clock"]["selection_seconds"]
        for name, text in own["callbacks"]:
            callback = self._plan.callbacks[name]
            states.decode(json.loads(text), arrays, callback, self._lost)

    def _frozen(self, step: int) -> FrozenPolicy:
        world = self._plan.world
        origin = {"contexts": world.to_data()} if isinstance(world, Drawn) else {}
        return self._freeze(self._agent.policy(), policy_facts(self._plan, step, origin))

    def write_card(self, status: str, error: str | None = None) -> None:
        """Write `run.json` as things stand."""
        selection = self._selection
        facts = {
            "steps": self.step,
            "seconds": round(self._diary.clock.seconds(), 3),
            "selection_seconds": round(selection.seconds, 3),
            "reference_seconds": round(self._reference_s, 3),
            "no_reference": self._no_reference,
            "checkpoint_seconds": round(self._keeper.seconds, 3),
            "cpu_seconds": round(self._diary.clock.cpu_seconds(), 3),
            "energy": self._diary.clock.energy(),
            "peak_memory_bytes": provenance.peak_memory_bytes(),
            **self._agent.costs(),
            "selection": selection.points,
            "best_step": selection.best[1] if selection.points else None,
            "ended": self.ended,
            "state_digest": self._digest,
            "resume": {**self._begun.card(), "from_step": self._begun_at},
        }
        card.write(self._plan, status, facts, error)

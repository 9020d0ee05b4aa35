"""The agent's listener in a shifted world: metrics, checkpoints, frozen snapshots."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_lab import adaptations, checkpoints, frozen_policy, paths, provenance, states
from rl_lab.agent import Agent
from rl_lab.training.adaptation import AdaptationPlan
from rl_lab.training.diary import policy_facts
from rl_lab.training.listening import Listening


class AdaptationRecorder(Listening[AdaptationPlan]):
    """Listens to an agent on behalf of an adaptation; steps count from the change of worlds."""

    def _begin(self) -> None:
        self._due = [0, *self._plan.marks]
        self._snapshots: list[dict[str, Any]] = []
        # Seconds that the snapshots took: wall time, processor time.
        self._aside = (0.0, 0.0)
        if self._begun.checkpoint is None:
            self._updates = self._agent.costs()["gradient_updates"]
            self._declared = _declared(self._plan, self._agent)  # before anything is learned

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Keep one log point."""
        self._diary.metrics(step - self._plan.start, values)

    def boundary(self, step: int) -> bool:
        """Save the state, then leave the snapshot that is due; False ends the training."""
        self.step = step - self._plan.start
        if not self._kept(dict):
            return False
        # A rollout may pass several marks; one snapshot stands for them all.
        passed = [mark for mark in self._due if mark <= self.step]
        if passed:
            self._due = self._due[len(passed) :]
            self._snapshot()
        self._diary.heartbeat(self.step)
        return True

    def _snapshot(self) -> None:
        start, cpu_start = time.monotonic(), time.process_time()
        world = {"kind": self._plan.kind, "context": str(self._plan.context), "step": self.step}
        facts = policy_facts(self._plan, self._plan.start + self.step, {"adaptation": world})
        policy = self._freeze(self._agent.policy(), facts)
        frozen_policy.save(policy, paths.snapshot_folder(self._plan.folder, self.step))
        self._snapshots.append({"step": self.step, **self._costs()})
        wall, processor = self._aside
        self._aside = (
            wall + time.monotonic() - start,
            processor + time.process_time() - cpu_start,
        )

    def _costs(self) -> dict[str, Any]:
        """What learning in the shifted world has taken, without the snapshots."""
        wall, processor = self._aside
        return {
            "gradient_updates": self._agent.costs()["gradient_updates"] - self._updates,
            "seconds": round(self._diary.clock.seconds() - wall, 3),
            "cpu_seconds": round(self._diary.clock.cpu_seconds() - processor, 3),
        }

    def finish(self) -> None:
        """Sum up the final state."""
        self._digest = checkpoints.digest(self._agent.state(), states.ALL)
        self.finished = True

    def let_go(self) -> None:
        """Take the checkpoints away: nothing goes on from a complete adaptation."""
        self._keeper.let_go()

    def _own(self, arrays: dict[str, np.ndarray], lost: list[str]) -> dict[str, Any]:
        return {
            "due": self._due,
            "snapshots": self._snapshots,
            "aside": self._aside,
            "updates": self._updates,
            "declared": self._declared,
        }

    def _take(self, own: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        self._due, self._snapshots, self._aside = own["due"], own["snapshots"], own["aside"]
        self._updates, self._declared = own["updates"], own["declared"]

    def write_card(self, status: str, error: str | None = None) -> None:
        """Write `adaptation.json` as things stand."""
        plan = self._plan
        data = {
            "status": status,
            "kind": plan.kind,
            "source": str(plan.source),
            "source_step": plan.source_step,
            "environment": plan.environment.id,
            "context": plan.context.to_data(),
            "agent": plan.agent,
            "seed": plan.seed,
            "recipe_hash": plan.recipe_hash,
            "budget": plan.steps,
            "steps": self.step,
            **self._costs(),
            "energy": self._diary.clock.energy(),
            "snapshots": self._snapshots,
            "declared": self._declared,
            "state_digest": self._digest,
            "resume": {**self._begun.card(), "from_step": self._begun_at},
            "error": error,
            "versions": provenance.versions(),
            "git": provenance.git_commit(),
            "machine": provenance.machine(),
        }
        adaptations.write(plan.folder, data)


def _declared(plan: AdaptationPlan, agent: Agent) -> dict[str, str]:
    """What was carried over, in words; a reader of the curves needs to know."""
    if plan.kind != adaptations.CONTINUED:
        return {"weights": "new: the run's recipe and seed, from scratch"}
    normalizes = plan.training.normalize_observation or plan.training.normalize_reward
    share = plan.start / (plan.start + plan.steps)
    return {
        "weights": f"the run's, after {plan.source_step} steps",
        "optimizer": "kept, with its moments",
        "normalizer": "kept, goes on updating" if normalizes else "none",
        "replay_buffer": _replay(plan, agent),
        "schedules": f"follow the longer total: they go on from {share:.0%} of it",
        "exploration": "as the schedules say; no random warm-up at the beginning",
        "random_streams": "new",
    }


def _replay(plan: AdaptationPlan, agent: Agent) -> str:
    """What lies in the replay buffer as learning begins, by the buffer itself."""
    ring = agent.state().rings.get(states.REPLAY)
    if ring is None:
        return "none: the algorithm has no replay buffer"
    if ring.written:
        return f"kept: {ring.written} rows of the training world, until new ones replace them"
    why = "" if not plan.keep_replay else "the run did not keep it, "
    return f"empty: {why}it fills with the new world alone"

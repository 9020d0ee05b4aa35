"""The agent's listener: metrics, heartbeats, selection of the best snapshot, costs."""

from __future__ import annotations

import dataclasses
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import rl_lab
from rl_lab import checkpoints, episodes, frozen_policy, paths, provenance, runs, seeding
from rl_lab.agent import Agent, TracedPolicy
from rl_lab.drift.accompanying import accompany
from rl_lab.frozen_policy import FrozenPolicy
from rl_lab.runs import Progress
from rl_lab.tracking import EventWriter, MetricsLog, NullWriter, tags
from rl_lab.training.callbacks import Moment
from rl_lab.training.plan import RunPlan

Freeze = Callable[[TracedPolicy, Mapping[str, Any]], FrozenPolicy]
_HEARTBEAT_S = 0.5
_STEP_LIMIT = 100_000  # of a selection episode in an environment without a limit of its own


class Recorder:
    """Listens to an agent on behalf of a run folder.

    Args:
        plan: The run.
        agent: Who learns.
        freeze: Turns the agent's policy into a frozen one.
        on_progress: Told about progress a few times per second.
    """

    def __init__(
        self,
        plan: RunPlan,
        agent: Agent,
        freeze: Freeze,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._plan, self._agent, self._freeze, self._on_progress = plan, agent, freeze, on_progress
        self._log = MetricsLog(plan.folder)
        self._events = EventWriter(plan.folder) if plan.tensorboard else NullWriter()
        self._start = self._beat = time.monotonic()
        self._cpu_start = time.process_time()
        self._step = 0
        self._return: float | None = None
        self._selection: list[dict[str, float]] = []
        self._best = (-math.inf, 0)
        every = plan.training.selection_every_steps
        self._every = self._next_selection = every if every > 0 else sys.maxsize
        self._selection_s = self._reference_s = 0.0
        self._no_reference = ""
        self._latest: dict[str, float] = {}
        self.ended: str | None = None
        self.stopped = self.finished = False

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *exception: object) -> None:
        self._log.close()
        self._events.close()

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Keep one log point."""
        self._return = values.get(tags.EPISODE_RETURN, self._return)
        self._latest.update(values)
        self._log.append(step, time.monotonic() - self._start, values)
        self._events.scalars(step, values)
        self._heartbeat(step)

    def boundary(self, step: int) -> bool:
        """Evaluate the weights where that is due; False once the training is to end."""
        self._step = step
        while step >= self._next_selection and not self.stopped:
            self._next_selection += self._every
            if step < self._next_selection:
                self._select(step)
        self._heartbeat(step)
        if self.ended is None:
            self.ended = self._reason_to_end(step)
        return not self.stopped and self.ended is None

    def _reason_to_end(self, step: int) -> str | None:
        """What ends the training before its steps are done; None goes on."""
        seconds = time.monotonic() - self._start
        limit = self._plan.training.seconds
        if limit is not None and seconds >= limit:
            return f"training.seconds={limit:g} of wall time are over"
        if not self._plan.callbacks:
            return None

        def log(values: Mapping[str, float]) -> None:
            self.metrics(step, values)

        moment = Moment(step, seconds, self._latest, self._selection, log, self._agent)
        for name, callback in self._plan.callbacks.items():
            if reason := callback(moment):
                return f"{name}: {reason}"
        return None

    def finish(self) -> None:
        """Freeze the final policy and keep the agent."""
        policy = self._frozen(self._step)
        frozen_policy.save(policy, self._plan.folder / "policy")
        if not self._selection:
            frozen_policy.save(policy, self._plan.folder / "best")
        self._accompany()
        self._keep()
        scores = {tags.BEST_RETURN: self._best[0]} if self._selection else {}
        self._events.hparams(_hyperparameters(self._plan), scores)
        self.finished = True

    def _keep(self) -> None:
        """Leave the final checkpoint, from which another training can go on."""
        state = self._agent.state()
        plan = self._plan
        facts = {
            "recipe_hash": plan.recipe_hash,
            "seed": plan.seed,
            "environment": plan.environment.to_data(),
            "agent": plan.agent,
            "versions": provenance.versions(),
        }
        checkpoints.write(plan.folder / paths.CHECKPOINTS, self._step, state, facts, {})

    def _accompany(self) -> None:
        """Give the policies the statistics of their own world."""
        start = time.monotonic()
        folders = [self._plan.folder / name for name in ("policy", "best")]
        self._no_reference = accompany(folders, self._plan.make_env, self._plan.monitoring)
        self._reference_s = time.monotonic() - start

    def _select(self, step: int) -> None:
        start = time.monotonic()
        policy = self._frozen(step)
        seeds = seeding.selection_seeds(self._plan.seed, self._plan.training.selection_episodes)
        returns, lengths = zip(*(self._episode(policy, seed) for seed in seeds), strict=True)
        mean = statistics.fmean(returns)
        self._selection.append({"step": step, "mean_return": mean})
        length = statistics.fmean(lengths)
        values = {tags.SELECTION_RETURN: mean, tags.SELECTION_LENGTH: length}
        self.metrics(step, values)
        if self._plan.snapshots:
            frozen_policy.save(policy, paths.snapshot_folder(self._plan.folder, step))
        # At equal return the later snapshot has learned from more.
        if mean >= self._best[0]:
            self._best = (mean, step)
            frozen_policy.save(policy, self._plan.folder / "best")
        self._selection_s += time.monotonic() - start

    def _episode(self, policy: FrozenPolicy, seed: int) -> tuple[float, int]:
        env = self._plan.make_env()
        try:
            limit = episodes.step_limit(env, _STEP_LIMIT)
            episode = episodes.run_episode(env, policy, seed, limit)
        finally:
            env.close()
        return episode.episode_return, episode.length

    def _frozen(self, step: int) -> FrozenPolicy:
        plan = self._plan
        facts = {
            "agent": plan.agent,
            "training_seed": plan.seed,
            "steps": step,
            "recipe_hash": plan.recipe_hash,
            "environment": plan.environment.to_data(),
            "anchors": dataclasses.asdict(plan.anchors) if plan.anchors else None,
            "provenance": {"rl_lab": rl_lab.__version__, "settings": plan.settings},
        }
        return self._freeze(self._agent.policy(), facts)

    def _heartbeat(self, step: int) -> None:
        now = time.monotonic()
        if now - self._beat < _HEARTBEAT_S:
            return
        self._beat = now
        seconds = now - self._start
        progress = Progress(step, self._plan.training.steps, step / seconds, self._return, seconds)
        runs.write_progress(self._plan.folder, progress)
        self._on_progress(progress)

    def write_card(self, status: str, error: str | None = None) -> None:
        """Write `run.json` as things stand."""
        plan = self._plan
        data = {
            "status": status,
            "environment": plan.environment.id,
            "agent": plan.agent,
            "seed": plan.seed,
            "settings": plan.settings,
            "recipe_hash": plan.recipe_hash,
            "steps": self._step,
            "seconds": round(time.monotonic() - self._start, 3),
            "selection_seconds": round(self._selection_s, 3),
            "reference_seconds": round(self._reference_s, 3),
            "no_reference": self._no_reference,
            "cpu_seconds": round(time.process_time() - self._cpu_start, 3),
            "peak_memory_bytes": provenance.peak_memory_bytes(),
            **self._agent.costs(),
            "selection": self._selection,
            "best_step": self._best[1] if self._selection else None,
            "ended": self.ended,
            "reproducible": plan.training.seconds is None,
            "error": error,
            "versions": provenance.versions(),
            "git": provenance.git_commit(),
            "machine": provenance.machine(),
        }
        runs.write(plan.folder, data)


def _hyperparameters(plan: RunPlan) -> dict[str, str | bool | int | float]:
    """What a person would compare runs by."""
    agent = {
        k: v for k, v in plan.config["agent"].items() if k not in ("_target_", "action_spaces")
    }
    chosen = {"agent": agent, "training": dataclasses.asdict(plan.training), "seed": plan.seed}
    return _flat({"env": plan.environment.id, **chosen})


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, str | bool | int | float]:
    """Nested configuration as the flat names and plain values that TensorBoard's table takes."""
    flat: dict[str, str | bool | int | float] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, bool | int | float) else str(value)
    return flat

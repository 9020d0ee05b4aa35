"""Run an adaptation: unfreeze, learn on in the shifted world, leave frozen snapshots."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

import rl_lab
from rl_lab import adaptations, checkpoints, files, frozen_policy, paths, provenance, runs, states
from rl_lab.agent import Agent, MakeAgent
from rl_lab.energy import meters
from rl_lab.errors import LabError
from rl_lab.runs import Progress
from rl_lab.tracking import EventWriter, MetricsLog, NullWriter, tags
from rl_lab.training.adaptation import AdaptationPlan
from rl_lab.training.recorder import Freeze
from rl_lab.training.runner import Outcome, stop_on_signal

_HEARTBEAT_S = 0.5


def adapt(
    plan: AdaptationPlan,
    make_agent: MakeAgent,
    freeze: Freeze,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_stop: Callable[[], None] = lambda: None,
) -> Outcome:
    """Train one adaptation to its end; a complete one is left as it is, another begins anew.

    The run's own folder is only read.

    Args:
        plan: What to do.
        make_agent: The agent family's factory with its hyperparameters bound.
        freeze: Turns the agent's policy into a frozen one.
        on_progress: Told about progress a few times per second.
        on_stop: Told when a signal has asked for a stop.

    Raises:
        BadInput: The run has no checkpoint to unfreeze, or another process adapts here.
        LabError: The environment or the disk failed; `adaptation.json` says so.
    """
    if adaptations.is_complete(plan.folder):
        return Outcome(runs.COMPLETE, skipped=True)
    kept = _kept(plan)
    torch.set_num_threads(plan.threads)
    agent = make_agent(plan.make_env, plan.training, plan.environment_seed)
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise files.cannot_write(plan.folder, error) from error
    with runs.exclusive(plan.folder, "adapting"):
        runs.clear(plan.folder)
        if kept is not None:
            agent.restore(kept.state(), _parts(plan))
        return _adapt(plan, agent, freeze, on_progress, on_stop)


def _kept(plan: AdaptationPlan) -> checkpoints.Checkpoint | None:
    """What the run ended with; a twin from scratch needs none."""
    return (
        checkpoints.final(plan.source, plan.source_step)
        if plan.kind == adaptations.CONTINUED
        else None
    )


def _parts(plan: AdaptationPlan) -> tuple[str, ...]:
    return tuple(p for p in states.CARRIED if plan.keep_replay or p != states.REPLAY)


def _adapt(
    plan: AdaptationPlan,
    agent: Agent,
    freeze: Freeze,
    on_progress: Callable[[Progress], None],
    on_stop: Callable[[], None],
) -> Outcome:
    files.write_text(plan.folder / paths.RUN_CONFIG, plan.config_text)
    recorder = _Recorder(plan, agent, freeze, on_progress)
    recorder.write_card(runs.RUNNING)
    try:
        with recorder, stop_on_signal(recorder, on_stop):
            agent.learn(plan.start + plan.steps, recorder)
    except KeyboardInterrupt:
        recorder.write_card(runs.INTERRUPTED)
        raise
    except Exception as error:
        text = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
        with contextlib.suppress(LabError):
            recorder.write_card(runs.FAILED, error=text)
        raise
    ended = runs.INTERRUPTED if recorder.stopped else runs.COMPLETE
    recorder.write_card(ended)
    return Outcome(ended, skipped=False)


class _Recorder:
    """Listens to an agent on behalf of an adaptation; steps count from the change of worlds."""

    def __init__(
        self,
        plan: AdaptationPlan,
        agent: Agent,
        freeze: Freeze,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._plan, self._agent, self._freeze, self._on_progress = plan, agent, freeze, on_progress
        self._log = MetricsLog(plan.folder)
        self._events = EventWriter(plan.folder) if plan.tensorboard else NullWriter()
        self._start = self._beat = time.monotonic()
        self._cpu_start = time.process_time()
        self._aside_s = self._aside_cpu_s = 0.0
        self._energy = meters()
        self._step = 0
        self._return: float | None = None
        self._due = [0, *plan.marks]
        self._snapshots: list[dict[str, Any]] = []
        self._updates = agent.costs()["gradient_updates"]
        self._declared = _declared(plan, agent)  # before anything is learned
        self.stopped = False

    def __enter__(self) -> _Recorder:
        return self

    def __exit__(self, *exception: object) -> None:
        self._log.close()
        self._events.close()

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Keep one log point."""
        since = step - self._plan.start
        self._return = values.get(tags.EPISODE_RETURN, self._return)
        self._log.append(since, time.monotonic() - self._start, values)
        self._events.scalars(since, values)

    def boundary(self, step: int) -> bool:
        """Leave the snapshot that is due; False once the training is to end."""
        self._step = step - self._plan.start
        # A rollout may pass several marks; one snapshot stands for them all.
        passed = [mark for mark in self._due if mark <= self._step]
        if passed:
            self._due = self._due[len(passed) :]
            self._snapshot()
        self._heartbeat()
        return not self.stopped

    def _snapshot(self) -> None:
        start, cpu_start = time.monotonic(), time.process_time()
        policy = self._freeze(self._agent.policy(), self._facts())
        frozen_policy.save(policy, paths.snapshot_folder(self._plan.folder, self._step))
        self._snapshots.append({"step": self._step, **self._costs()})
        self._aside_s += time.monotonic() - start
        self._aside_cpu_s += time.process_time() - cpu_start

    def _costs(self) -> dict[str, Any]:
        """What learning in the shifted world has taken, without the snapshots."""
        seconds = time.monotonic() - self._start - self._aside_s
        cpu_seconds = time.process_time() - self._cpu_start - self._aside_cpu_s
        return {
            "gradient_updates": self._agent.costs()["gradient_updates"] - self._updates,
            "seconds": round(seconds, 3),
            "cpu_seconds": round(cpu_seconds, 3),
        }

    def _facts(self) -> dict[str, Any]:
        plan = self._plan
        return {
            "agent": plan.agent,
            "training_seed": plan.seed,
            "steps": plan.start + self._step,
            "recipe_hash": plan.recipe_hash,
            "environment": plan.environment.to_data(),
            "anchors": dataclasses.asdict(plan.anchors) if plan.anchors else None,
            "provenance": {
                "rl_lab": rl_lab.__version__,
                "settings": plan.settings,
                "adaptation": {"kind": plan.kind, "context": str(plan.context), "step": self._step},
            },
        }

    def _heartbeat(self) -> None:
        now = time.monotonic()
        if now - self._beat < _HEARTBEAT_S:
            return
        self._beat = now
        seconds = now - self._start
        rate = self._step / seconds
        progress = Progress(self._step, self._plan.steps, rate, self._return, seconds)
        runs.write_progress(self._plan.folder, progress)
        self._on_progress(progress)

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
            "steps": self._step,
            **self._costs(),
            "energy": self._energy.data(),
            "snapshots": self._snapshots,
            "declared": self._declared,
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

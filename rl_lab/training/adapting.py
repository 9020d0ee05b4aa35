"""Run an adaptation: unfreeze, learn on in the shifted world, leave frozen snapshots."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch

from rl_lab import adaptations, checkpoints, files, paths, runs, states
from rl_lab.agent import MakeAgent
from rl_lab.runs import Progress
from rl_lab.states import strategies
from rl_lab.training import carrying_out, starting
from rl_lab.training.adaptation import AdaptationPlan
from rl_lab.training.adaptation_recorder import AdaptationRecorder
from rl_lab.training.carrying_out import Outcome
from rl_lab.training.listening import Freeze


def adapt(
    plan: AdaptationPlan,
    make_agent: MakeAgent,
    freeze: Freeze,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_stop: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Train one adaptation to its end, from its newest checkpoint; a complete one is left as it is.

    The run's own folder is only read.

    Args:
        plan: What to do.
        make_agent: The agent family's factory with its hyperparameters bound.
        freeze: Turns the agent's policy into a frozen one.
        on_progress: Told about progress a few times per second.
        on_stop: Told when a signal has asked for a stop.
        tell: Told what a user should know, a line at a time.

    Raises:
        BadInput: The run has no checkpoint to unfreeze, or another process adapts here; no new
            folder is left behind.
        LabError: The environment or the disk failed; `adaptation.json` says so.
    """
    if adaptations.is_complete(plan.folder):
        return Outcome(runs.COMPLETE, skipped=True)

    def work() -> Outcome:
        torch.set_num_threads(plan.threads)
        begun = starting.start(plan, tell)
        make_env = strategies.prepared(plan.make_env, begun.verdict.strategy)
        with contextlib.closing(
            make_agent(make_env, plan.training, plan.environment_seed)
        ) as agent:
            if begun.checkpoint is None and plan.kind == adaptations.CONTINUED:
                kept = checkpoints.final(plan.source, plan.source_step)
                agent.restore(kept.state(), _parts(plan))
            files.write_text(plan.folder / paths.RUN_CONFIG, plan.config_text)
            recorder = AdaptationRecorder(plan, agent, freeze, begun, on_progress, tell)
            target = plan.start + plan.steps
            outcome = carrying_out.learn(plan, agent, target, recorder, on_stop, tell)
        if outcome.status == runs.COMPLETE:
            recorder.let_go()
        return outcome

    return carrying_out.alone(plan.folder, "adapting", adaptations.status, work)


def _parts(plan: AdaptationPlan) -> tuple[str, ...]:
    return tuple(p for p in states.CARRIED if plan.keep_replay or p != states.REPLAY)

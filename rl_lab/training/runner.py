"""Run a plan: skip what is complete, go on with what was interrupted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch

from rl_lab import files, paths, runs, seeding
from rl_lab.agent import MakeAgent
from rl_lab.runs import Progress
from rl_lab.states import strategies
from rl_lab.training import carrying_out, starting
from rl_lab.training.carrying_out import Outcome
from rl_lab.training.listening import Freeze
from rl_lab.training.plan import RunPlan
from rl_lab.training.recorder import Recorder


def train(
    plan: RunPlan,
    make_agent: MakeAgent,
    freeze: Freeze,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_stop: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Train one run to its end, from its newest checkpoint; a complete run is left as it is.

    Args:
        plan: What to train.
        make_agent: The agent family's factory with its hyperparameters bound.
        freeze: Turns the agent's policy into a frozen one.
        on_progress: Told about progress a few times per second.
        on_stop: Told when a signal has asked for a stop.
        tell: Told what a user should know, a line at a time.

    Raises:
        BadInput: The agent refuses its settings, or another process trains here; no new folder
            is left behind.
        LabError: The environment or the disk failed; `run.json` says so.
    """
    if runs.status(plan.folder) == runs.COMPLETE:
        return Outcome(runs.COMPLETE, skipped=True)

    def work() -> Outcome:
        torch.set_num_threads(plan.threads)
        begun = starting.start(plan, tell)
        make_env = strategies.prepared(plan.make_env, begun.verdict.strategy)
        seed = seeding.training_seed(plan.seed)
        with contextlib.closing(make_agent(make_env, plan.training, seed)) as agent:
            files.write_text(plan.folder / paths.RUN_CONFIG, plan.config_text)
            recorder = Recorder(plan, agent, freeze, begun, on_progress, tell)
            return carrying_out.learn(plan, agent, plan.steps, recorder, on_stop, tell)

    return carrying_out.alone(plan.folder, "training", runs.status, work)

"""Train one run, or with -m a sweep; continues what was interrupted, skips what is complete.

usage: rl-lab train [env=ID] [agent=NAME] [seed=K] [training.steps=N] [key=value ...]
       rl-lab train -m seed=0,1,2 agent=ppo,dqn       every combination, one job per core

The run folder is outputs/train/<environment>/<agent>-<hash of the recipe>/seed_<k>: the same
command always finds the same folder. Tuned hyperparameters apply by themselves where the pair of
environment and agent has some; tuned=none turns them off.

  env=CartPole-v1            any registered Gymnasium id; `rl-lab list env` shows configured ones
  agent=ppo                  `rl-lab list agent` shows all
  agent.learning_rate=1e-3   any hyperparameter of the agent; `--cfg` shows all
  training.steps=100_000     environment steps; also training.n_envs, training.frame_stack, ...
  from=RUN                   as that run was trained; what else is given changes it
  experiment=NAME            a named set of such overrides; `rl-lab list experiment`
  output=FOLDER              instead of outputs
  launcher.jobs=2            jobs at once in a sweep (default: one per core)
  debug=smoke                a few hundred steps, to see that everything works
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rl_lab import paths, runs
from rl_lab.cli import config, launching, planning, progress, repeating, sweeping, training_sections
from rl_lab.cli.options import Options
from rl_lab.cli.planning import Planned
from rl_lab.errors import EXIT_DONE, EXIT_INTERRUPTED


def run(options: Options, words: list[str]) -> int:
    """Train; returns the exit code."""
    combinations = config.expand(repeating.expanded(words, options), options.multirun)
    if options.show_config:
        planner = planning.Planner(options)
        print("\n".join(planner.plan(some).plan.config_text for some in combinations), end="")
        return EXIT_DONE
    if options.multirun:
        return _sweep(sweeping.plan(combinations, options))
    planned = planning.plan(combinations[0], options)
    paths.require_writable(planned.plan.folder)
    return _single(planned)


def _single(job: Planned) -> int:
    plan = job.plan
    if runs.status(plan.folder) == runs.COMPLETE:
        print(f"complete already: {plan.folder}")
        return EXIT_DONE
    # Set before torch is imported; its thread pool is sized then.
    os.environ.setdefault("OMP_NUM_THREADS", str(plan.threads))
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    from rl_lab import freezing
    from rl_lab.training import runner, warm_start

    print(f"{plan.agent} on {plan.environment.id}, seed {plan.seed}: {plan.settings}")
    with progress.of_run(plan.training.steps) as on_progress:
        make_agent = warm_start.starting(training_sections.make_agent(job.agent), plan.training)
        outcome = runner.train(
            plan, make_agent, freezing.freeze, on_progress, progress.on_stop, progress.say
        )
    if outcome.status == runs.INTERRUPTED:
        print(f"interrupted: {plan.folder}; the same command goes on", file=sys.stderr)
        return EXIT_INTERRUPTED
    _tell(job)
    return EXIT_DONE


def _tell(job: Planned) -> None:
    card = runs.read(job.plan.folder)
    rate = card["steps"] / card["seconds"] if card["seconds"] else float("nan")
    asked = job.plan.training.steps
    more = f", {asked} rounded up to whole rollouts" if card["steps"] > asked else ""
    print(f"{card['steps']} steps in {card['seconds']:.1f} s ({rate:.0f} steps/s{more})")
    if card["ended"]:
        print(f"ended early: {card['ended']}")
    if not card["reproducible"]:
        print("not reproducible: a budget of wall time depends on the machine")
    if card["selection"]:
        best = max(point["mean_return"] for point in card["selection"])
        last = card["selection"][-1]["mean_return"]
        at = f"best {best:.1f} at step {card['best_step']}"
        print(f"return on the selection seeds: last {last:.1f}, {at}")
    print(f"run: {job.plan.folder}")
    print(f"next: {_next(job.plan.folder.parent, job.plan.imports)}")


def _next(folder: Path, imports: Sequence[str]) -> str:
    words = ["rl-lab", "evaluate", f"runs={folder}"]
    return shlex.join([*words, *([f"imports=[{','.join(imports)}]"] if imports else [])])


def _sweep(sweep: sweeping.Sweep) -> int:
    jobs, missing = sweep.jobs, sweep.missing
    print(f"{len(jobs)} runs, {len(jobs) - len(missing)} complete already")
    if not missing:
        return EXIT_DONE
    paths.require_writable(missing[0].folder)
    launcher = launching.make(sweep.launcher, sweep.output / paths.JOBS)
    finished, code = sweeping.run(missing, launcher)
    if code == EXIT_INTERRUPTED:
        return code
    folders = {done.job.folder.parent.parent for done in finished if done.status == "complete"}
    for folder in sorted(folders):
        print(f"next: {_next(folder, sweep.imports)}")
    return code

"""Unfreeze runs: continue their training in a shifted world, leaving frozen snapshots to evaluate.

usage: rl-lab adapt run=FOLDER shift=NAME [delta=1] [steps=N] [key=value ...]
       rl-lab adapt runs=FOLDER shift=NAME ...        each run of a folder, one job per core

A run goes on with its weights, optimiser, normaliser and replay buffer; its own folder is only
read. Beside it learns a twin from scratch with the same budget. Every steps/20 a frozen policy is
left under outputs/adapt/<environment>/<agent>-<recipe>/<shift>-<delta>-<hash>/seed_<k> (the twin:
scratch_<k>). `rl-lab evaluate runs=... adaptations=FOLDER` judges them
in both worlds. An adaptation that was interrupted goes on by the same command, to the same end.

  shift=longer_pole          a file under conf/shift; `rl-lab list shift/ENVIRONMENT` shows them
  delta=0.5                  its magnitude, above 0, up to 1
  steps=20_000               environment steps (default: half of what the run took)
  scratch=false              no twin from scratch
  replay_buffer=empty        learn from the new world's transitions alone
  launcher.jobs=2            jobs at once, with runs= (default: one per core); launcher=slurm, ray
  output=FOLDER              instead of outputs
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab import adaptations, paths, runs
from rl_lab.cli import (
    adapting,
    config,
    launching,
    progress,
    sweeping,
    training_sections,
    typed,
    worlds,
)
from rl_lab.cli.adapting import Piece
from rl_lab.cli.options import Options
from rl_lab.errors import EXIT_DONE, EXIT_INTERRUPTED
from rl_lab.statistics.intervals import counted


def run(options: Options, words: list[str]) -> int:
    """Adapt; returns the exit code."""
    words = config.expand(words, multirun=False)[0]
    data = config.compose("adapt", worlds.typed_words(words), options)
    if options.show_config:
        print(config.to_yaml(data), end="")
        return EXIT_DONE
    pieces = [p for run in adapting.places(data) for p in adapting.pieces(run, data, options)]
    paths.require_writable(pieces[0].plan.folder)
    left = [p for p in pieces if not adaptations.is_complete(p.plan.folder)]
    if len(left) < len(pieces):
        print(f"{len(pieces)} trainings, {len(pieces) - len(left)} complete already")
    code = _launched(left, data, words, options) if data["runs"] else _in_turn(left)
    if code == EXIT_DONE:
        _tell(pieces)
    return code


def _in_turn(pieces: Sequence[Piece]) -> int:
    if not pieces:
        return EXIT_DONE
    os.environ.setdefault("OMP_NUM_THREADS", str(pieces[0].plan.threads))
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    # Imports torch; whatever is wrong with the words has shown before.
    from rl_lab import freezing
    from rl_lab.training.adapting import adapt

    for piece in pieces:
        plan = piece.plan
        print(
            f"{plan.agent} seed {plan.seed} on {plan.environment.id}, {plan.context}: {plan.kind}"
        )
        with progress.of_run(plan.steps) as on_progress:
            make_agent = training_sections.make_agent(piece.agent)
            outcome = adapt(
                plan, make_agent, freezing.freeze, on_progress, progress.on_stop, progress.say
            )
        if outcome.status == runs.INTERRUPTED:
            print(f"interrupted: {plan.folder}; the same command goes on", file=sys.stderr)
            return EXIT_INTERRUPTED
    return EXIT_DONE


def _launched(
    pieces: Sequence[Piece], data: Mapping[str, Any], words: Sequence[str], options: Options
) -> int:
    """Every piece as a job of its own, wherever the launcher runs it."""
    if not pieces:
        return EXIT_DONE
    kept = [w for w in words if w.partition("=")[0] not in ("run", "runs", "scratch")]
    jobs = [_job(piece, kept, options) for piece in pieces]
    output = typed.folder(data["output"], "output")
    launcher = launching.make(data["launcher"], output / paths.JOBS)
    return sweeping.run(jobs, launcher)[1]


def _job(piece: Piece, words: Sequence[str], options: Options) -> launching.Job:
    plan = piece.plan
    scratch = "only" if plan.kind == adaptations.SCRATCH else "false"
    return launching.Job(
        words=(
            "adapt",
            f"run={config.quoted(str(plan.source))}",
            f"scratch={scratch}",
            *words,
            *sweeping.flags(options),
        ),
        folder=plan.folder,
        log=plan.folder / paths.RUN_LOG,
        name=f"{plan.agent} seed {plan.seed} {plan.kind}",
        threads=plan.threads,
        steps=plan.steps,
        preload=sweeping.preload("rl_lab.training.adapting", piece.agent),
    )


def _tell(pieces: Sequence[Piece]) -> None:
    folders = sorted({p.plan.folder.parent for p in pieces})
    seeds = len({(p.plan.folder.parent, p.plan.seed) for p in pieces})
    print(f"{counted(seeds, 'run')} adapted to {pieces[0].plan.context}")
    for folder in folders:
        print(f"adaptations: {folder}")
    sources = sorted({str(p.plan.source.parent) for p in pieces})
    given = sources[0] if len(sources) == 1 else f"[{','.join(sources)}]"
    where = str(folders[0]) if len(folders) == 1 else f"[{','.join(map(str, folders))}]"
    print(f"next: {shlex.join(['rl-lab', 'evaluate', f'runs={given}', f'adaptations={where}'])}")

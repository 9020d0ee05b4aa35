"""Unfreeze runs: continue their training in a shifted world, leaving frozen snapshots to evaluate.

usage: rl-lab adapt run=FOLDER shift=NAME [delta=1] [steps=N] [key=value ...]
       rl-lab adapt runs=FOLDER shift=NAME ...        each run of a folder, one job per core

A run goes on with its weights, optimiser, normaliser and replay buffer; its own folder is only
read. Beside it learns a twin from scratch with the same budget. Every steps/20 a frozen policy is
left under outputs/adapt/<environment>/<agent>-<recipe>/<shift>-<delta>-<hash>/seed_<k> (the twin:
scratch_<k>). `rl-lab evaluate runs=... adaptations=FOLDER` judges them
in both worlds.

  shift=longer_pole          a file under conf/shift; `rl-lab list shift/ENVIRONMENT` shows them
  delta=0.5                  its magnitude, above 0, up to 1
  steps=20_000               environment steps (default: half of what the run took)
  scratch=false              no twin from scratch
  replay_buffer=empty        learn from the new world's transitions alone
  launcher.jobs=2            jobs at once, with runs= (default: one per core)
  output=FOLDER              instead of outputs
"""

from __future__ import annotations

import concurrent.futures
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab import adaptations, paths, provenance, runs
from rl_lab.cli import adapting, config, planning, progress, typed, worlds
from rl_lab.cli.adapting import Piece
from rl_lab.cli.options import Options
from rl_lab.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
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
    code = _all(left, data, words, options) if data["runs"] else _in_turn(left)
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
            make_agent = planning.make_agent(piece.agent)
            outcome = adapt(plan, make_agent, freezing.freeze, on_progress, _on_stop)
        if outcome.status == runs.INTERRUPTED:
            print(f"interrupted: {plan.folder}; the same command starts it again", file=sys.stderr)
            return EXIT_INTERRUPTED
    return EXIT_DONE


def _on_stop() -> None:
    print("stopping at the next update; another Ctrl-C stops at once", file=sys.stderr)


def _all(
    pieces: Sequence[Piece], data: Mapping[str, Any], words: Sequence[str], options: Options
) -> int:
    """Every piece in a process of its own, a few at a time."""
    jobs = typed.value(data["launcher"]["jobs"], int | None, "launcher.jobs")
    jobs = provenance.available_cores() if jobs is None else jobs
    typed.positive(jobs, "launcher.jobs")
    kept = [w for w in words if w.partition("=")[0] not in ("run", "runs", "scratch")]
    flags = ["--config-dir", str(options.config_dir)] if options.config_dir else []
    crew = _Crew([*kept, *flags])
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            codes = list(pool.map(crew.work, pieces))
        except KeyboardInterrupt:
            crew.stop()
            raise
    if EXIT_INTERRUPTED in codes:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if any(codes) else EXIT_DONE


class _Crew:
    """Processes of this command line, one for each piece."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopping = False

    def work(self, piece: Piece) -> int:
        """Run one piece to its end; returns its exit code."""
        plan = piece.plan
        scratch = "only" if plan.kind == adaptations.SCRATCH else "false"
        words = [f"run={plan.source}", f"scratch={scratch}", *self._words]
        plan.folder.mkdir(parents=True, exist_ok=True)
        log = plan.folder / paths.RUN_LOG
        with log.open("ab") as file:
            with self._lock:
                if self._stopping:
                    return EXIT_INTERRUPTED
                process = subprocess.Popen(
                    [sys.executable, "-m", "rl_lab", "adapt", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "OMP_NUM_THREADS": str(plan.threads)},
                    start_new_session=True,
                )
                self._running.add(process)
            code = process.wait()
            with self._lock:
                self._running.discard(process)
        name = f"{plan.agent} seed {plan.seed} {plan.kind}"
        print(f"{name}: {'done' if code == 0 else f'exit code {code}, see {log}'}", flush=True)
        return code

    def stop(self) -> None:
        """Ask all to stop and start no more."""
        with self._lock:
            self._stopping = True
            for process in self._running:
                process.terminate()


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

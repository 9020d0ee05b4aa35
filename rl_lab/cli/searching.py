"""A whole search: workers until the asked trials are finished, then the winner's proof."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import files, paths, provenance, runs
from rl_lab.cli import launching, live, tuning, tuning_record
from rl_lab.cli.launching import Finished, Job
from rl_lab.cli.sweeping import flags, job_of
from rl_lab.cli.tuning import FRESH_SEED, Request
from rl_lab.cli.tuning_worker import at_desk, heartbeat_folder, open_study, require_usable
from rl_lab.cli.verbs import evaluate
from rl_lab.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from rl_lab.reporting import study_page
from rl_lab.search import secrets, storages, studies, trials

Launching = Callable[[Sequence[Job]], Sequence[Finished]]


def search(request: Request, words: Sequence[str]) -> int:
    """Run a search to its end; the exit code.

    Raises:
        BadInput: What was asked for is refused; where the study is new, nothing was made.
        Failed: No trial has a value.
    """
    paths.require_writable(request.folder)
    launcher = functools.cache(
        lambda: launching.make(request.settings["launcher"], request.folder / paths.JOBS)
    )
    if not _is_known(request):
        require_usable(request)
        launcher()
        tuning.require_accepted(request)
    study = open_study(request)
    words = secrets.shown(words, request.settings["storage"])
    print(f"study {request.name}: {_count(study)} of {request.settings['trials']} trials finished")

    def launch(jobs: Sequence[Job]) -> Sequence[Finished]:
        return live.run(jobs, launcher())

    code = _work(request, study, words, launch)
    found = tuning_record.write(request, study)
    if code == EXIT_INTERRUPTED:
        print("interrupted; the same command goes on where it was", file=sys.stderr)
        return code
    if _count(study) < request.settings["trials"]:
        return EXIT_FAILED
    return _conclude(request, study, tuning_record.best(found["trials"]), words, launch)


def _is_known(request: Request) -> bool:
    """Whether the study was made before; looks into no storage where its folder is new."""
    folder = request.folder
    return folder.is_dir() and storages.knows(request.settings["storage"], folder, request.name)


def _count(study: Any) -> int:
    return sum(map(studies.finished, study.get_trials(deepcopy=False)))


def _work(request: Request, study: Any, words: Sequence[str], launch: Launching) -> int:
    """Workers, again while some of them die but the study moves on."""
    while (before := _count(study)) < request.settings["trials"]:
        with secrets.lent(request.settings["storage"], request.folder) as lent:
            given = [*words, f"lent={lent}"] if lent else words
            workers = _workers(request, given, request.settings["trials"] - before)
            finished = launch(workers)
        with at_desk(request, study) as mine:
            mine.bury()
        code = launching.told(workers, finished)
        if code == EXIT_INTERRUPTED or (code == EXIT_FAILED and _count(study) == before):
            return code
    return EXIT_DONE


def _workers(request: Request, words: Sequence[str], left: int) -> list[Job]:
    wanted = request.settings["workers"]
    count = provenance.available_cores() if wanted is None else int(wanted)
    return [
        Job(
            words=("tune", *words, f"worker={k}", *flags(request.options)),
            folder=heartbeat_folder(request, k),
            log=heartbeat_folder(request, k) / paths.RUN_LOG,
            name=f"worker {k}",
            threads=request.baseline.plan.threads,
            steps=request.settings["trials"],
            preload=(),
        )
        for k in range(min(count, left))
    ]


def _conclude(
    request: Request,
    study: Any,
    winner: Mapping[str, Any],
    words: Sequence[str],
    launch: Launching,
) -> int:
    """Train the winner and the untuned on fresh seeds, compare them, and tell; the exit code."""
    values = winner["values"]
    print(f"best trial: {winner['number']}, {winner['objectives'][0]:.2f} on selection seeds")
    for word in tuning.words_of(values):
        print(f"  {word}")
    jobs = _proof_jobs(request, values)
    missing = [job for job in jobs if runs.status(job.folder) != runs.COMPLETE]
    if missing and launching.told(missing, launch(missing)) == EXIT_INTERRUPTED:
        return EXIT_INTERRUPTED
    complete = [job for job in jobs if runs.status(job.folder) == runs.COMPLETE]
    name = _comparison(request, winner)
    code = _compare(request, name, complete)
    won = tuning_record.Won(winner, str(Path("evaluate") / name))
    tuning_record.write(request, study, won, _timed_alone(request, study))
    print(f"study: {study_page.write(request.folder)}")
    print(f"next: {shlex.join(['rl-lab', 'tune', *words, 'to=my_conf'])}")
    return code if len(complete) == len(jobs) else EXIT_FAILED


def _proof_jobs(request: Request, values: Mapping[str, Any]) -> list[Job]:
    """The winner and the untuned training, on seeds that no trial has seen."""
    seeds = range(FRESH_SEED, FRESH_SEED + request.settings["winner_seeds"])
    pairs = [(part, seed) for part in (values, {}) for seed in seeds]
    jobs = {job.folder: job for job in (_fresh(request, part, seed) for part, seed in pairs)}
    return list(jobs.values())


def _fresh(request: Request, values: Mapping[str, Any], seed: int) -> Job:
    return job_of(request.plan(values, seed), request.options)


def _comparison(request: Request, winner: Mapping[str, Any]) -> str:
    """Names the proof by all that it consists of."""
    parts = [winner["values"], request.settings["winner_seeds"]]
    code = files.canonical_hash([*parts, request.settings["episodes"]])
    return f"winner-{winner['number']}-{code}"


def _compare(request: Request, name: str, complete: Sequence[Job]) -> int:
    """Both on the published evaluation seeds, with intervals."""
    folders = ",".join(f"'{job.folder / 'policy'}'" for job in complete)
    words = [
        f"policies=[{folders}]",
        f"output='{request.folder}'",
        f"name={name}",
        f"evaluation.episodes={request.settings['episodes']}",
    ]
    imports = request.baseline.plan.imports
    return evaluate.run(
        request.options, [*words, *([f"imports=[{','.join(imports)}]"] if imports else [])]
    )


def _timed_alone(request: Request, study: Any) -> dict[int, float]:
    """Microseconds of a decision by trial, taken again when no training runs beside them."""
    if len(request.directions) < 2:
        return {}
    return {
        trial.number: min(
            trials.latency_us(request.folder / run / "policy") for run in trial.user_attrs["runs"]
        )
        for trial in study.get_trials(deepcopy=False)
        if trial.state.name == "COMPLETE"
    }

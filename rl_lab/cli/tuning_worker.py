"""One worker of a search: takes trials, trains their runs, tells the study."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rl_lab import paths, runs, seeding
from rl_lab.cli.launching import Finished, Job
from rl_lab.cli.launching.jobs import STOPPING
from rl_lab.cli.launching.local import Local
from rl_lab.cli.sweeping import job_of
from rl_lab.cli.tuning import Request
from rl_lab.errors import EXIT_DONE, EXIT_HELD, EXIT_INTERRUPTED, Failed, LabError
from rl_lab.frozen_policy import load_policy
from rl_lab.runs import Progress
from rl_lab.search import secrets, storages, studies, trials
from rl_lab.search.desk import Desk
from rl_lab.training import selecting

_WORKERS = "workers"


def open_study(request: Request) -> Any:
    """The study of a search, made where it is new.

    Raises:
        BadInput: It cannot be opened, or is another one.
    """
    sampler, pruner = _parts(request)
    return studies.open_study(
        storage(request),
        request.name,
        request.folder,
        request.directions,
        request.facts,
        sampler,
        pruner,
    )


def require_usable(request: Request) -> None:
    """Refuse what no study could be opened with, before anything is made.

    Raises:
        BadInput: The storage cannot be used, or a sampler or pruner is unknown.
    """
    _parts(request)
    storages.require_usable(request.settings["storage"])


def _parts(request: Request) -> tuple[Any, Any]:
    """Sampler and pruner."""
    settings = request.settings
    latency = len(settings["objectives"]) > 1
    worker = int(settings["worker"] or 0)
    seed = int(seeding.generator(settings["seed"], "sampler", worker).integers(2**31))
    sampler = studies.sampler(settings["sampler"], seed)
    return sampler, studies.pruner("none" if latency else settings["pruner"])


def storage(request: Request) -> Any:
    """Where the study is kept.

    Raises:
        BadInput: It cannot be used.
    """
    url = request.settings["storage"]
    if request.settings["worker"] is not None:
        url = secrets.borrowed(url, request.folder, request.settings["lent"])
    return storages.storage(url, request.folder)


def at_desk(request: Request, study: Any) -> Desk:
    """Access to the study's trials."""
    return Desk(study, request.folder / _WORKERS)


def heartbeat_folder(request: Request, worker: int) -> Path:
    """Where a worker says how far the search is."""
    return request.folder / ".jobs" / f"worker_{worker}"


def work(request: Request) -> int:
    """Take trials until the asked number is finished or in other hands; the exit code."""
    stopping = _Stop()
    worker = int(request.settings["worker"])
    study = open_study(request)
    start = time.monotonic()
    with at_desk(request, study) as mine:
        while not stopping():
            trial = mine.take(request.settings["trials"])
            if trial is None:
                return EXIT_DONE
            try:
                _try(request, study, trial, stopping)
            except trials.Stopped:
                mine.give_back(trial)
                return EXIT_INTERRUPTED
            _tell_progress(request, study, worker, time.monotonic() - start)
    return EXIT_INTERRUPTED


class _Stop:
    """Whether a signal has asked for a stop."""

    def __init__(self) -> None:
        self._asked = False
        for number in STOPPING:
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        self._asked = True

    def __call__(self) -> bool:
        return self._asked


def _try(request: Request, study: Any, trial: Any, stopping: Callable[[], bool]) -> None:
    """Train one trial and tell the study how it went; a failed one counts as finished."""
    from optuna.trial import TrialState

    settings = request.settings
    latency = len(settings["objectives"]) > 1

    def report(value: float, place: int) -> bool:
        if latency:
            return False
        trial.report(value, place)
        return bool(trial.should_prune())

    try:
        values = request.draw(trial)
        trial.set_user_attr(studies.VALUES, values)
        result = trials.run(
            lambda seed: _Training(request, values, seed),
            range(settings["seeds"]),
            settings["aggregate"],
            report,
            stopping,
        )
        trial.set_user_attr("returns", list(result.returns))
        trial.set_user_attr("runs", [os.path.relpath(r, request.folder) for r in result.runs])
        worth = [trials.AGGREGATES[settings["aggregate"]](result.returns)]
        if latency:
            worth.append(min(trials.latency_us(run / "policy") for run in result.runs))
        if not all(map(math.isfinite, worth)):
            raise ValueError(f"the objective is {worth}")
    except (LabError, ValueError) as error:
        trial.set_user_attr(studies.ERROR, str(error))
        study.tell(trial, state=TrialState.FAIL)
        return
    if result.pruned:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, worth)


class _Training:
    """A run of a trial, in a process of its own."""

    def __init__(self, request: Request, values: dict[str, Any], seed: int) -> None:
        planned = request.plan(values, seed)
        job: Job = job_of(planned, request.options)
        self.folder = job.folder
        self._plan = planned.plan
        self._launcher = Local(job.folder, 1, 1)
        self._ended: Finished | None = None
        if runs.status(job.folder) == runs.COMPLETE:
            self._ended = Finished(job, EXIT_DONE)
        else:
            self._launcher.launch([job])

    def poll(self) -> str | None:
        """How it ended, or None."""
        for done in self._launcher.poll(0.0):
            self._ended = done
        if self._ended is None:
            return None
        return trials.HELD if self._ended.code == EXIT_HELD else self._ended.status

    def reason(self) -> str:
        """Why it failed."""
        card = runs.read(self.folder) if (self.folder / paths.RUN_CARD).is_file() else {}
        assert self._ended is not None
        return str(card.get("error") or self._ended.reason())

    def value(self) -> float:
        """Mean return of its final policy on its selection seeds.

        Raises:
            Failed: The environment does not play it.
        """
        card = runs.read(self.folder)
        if card["selection"] and card["selection"][-1]["step"] == card["steps"]:
            return float(card["selection"][-1]["mean_return"])
        # The last check was before the end: rollouts are whole, and callbacks end a run anywhere.
        try:
            return selecting.mean_return(self._plan, load_policy(self.folder / "policy"))
        except Exception as error:  # whatever an environment raises ends this trial alone
            raise Failed(f"the final policy of {self.folder} cannot be played: {error}") from error

    def stop(self) -> None:
        """Ask it to stop and wait for it."""
        self._launcher.stop()


def _tell_progress(request: Request, study: Any, worker: int, seconds: float) -> None:
    found = study.get_trials(deepcopy=False)
    done = sum(map(studies.finished, found))
    values = [t.values[0] for t in found if t.values and studies.finished(t)]
    rate = done / seconds if seconds else 0.0
    folder = heartbeat_folder(request, worker)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(LabError):
        best = max(values, default=None)
        runs.write_progress(folder, Progress(done, request.settings["trials"], rate, best, seconds))

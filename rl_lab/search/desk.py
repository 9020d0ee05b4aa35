"""Trials handed out to workers, with none lost or counted twice, whoever dies."""

from __future__ import annotations

import contextlib
import datetime
import os
import uuid
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from rl_lab import runs
from rl_lab.errors import Held
from rl_lab.search import studies
from rl_lab.search.storages import waiting

# Names in a trial's user attributes.
_AGAIN, _WORKER = "again", "worker"
# To draw a trial takes a sampler well under a second, and a slow database some. A worker that took
# longer loses that trial and asks again; one that died meanwhile is waited for so long.
_UNCLAIMED_S = 60.0


class Desk:
    """One worker's access to a study: takes trials, and looks after those of dead workers.

    Args:
        study: The study.
        folder: Of the locks by which workers are known to live; all workers must see it.
    """

    def __init__(self, study: optuna.Study, folder: Path) -> None:
        self.study = study
        self._folder = folder
        self._name = uuid.uuid4().hex
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Desk:
        place = self._folder / self._name
        with self._burial():
            place.mkdir(parents=True)
            self._stack.enter_context(runs.exclusive(place, "searching"))
        return self

    def __exit__(self, *exception: object) -> None:
        with self._burial():
            self._stack.close()
            _remove(self._folder / self._name)

    def _burial(self) -> contextlib.AbstractContextManager[None]:
        """Nobody looks into workers' folders while one comes, goes, or is buried."""
        return waiting(self._folder / "burial.lock")

    def take(self, asked: int) -> Trial | None:
        """The next trial, or None where the others in hand and the finished ones suffice."""
        self.bury()
        if len(self._counted()) >= asked:
            return None
        trial = self._claimed()
        # Numbers are given in one order: whoever came too late sees it.
        if sum(other.number < trial.number for other in self._counted()) >= asked:
            self.give_back(trial, enqueue=False)
            return None
        return trial

    def _claimed(self) -> Trial:
        """A new trial that has this worker's name on it."""
        while True:
            # Another worker may have buried it as nobody's before it had a name.
            with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
                trial = self.study.ask()
                with self._burial():
                    trial.set_user_attr(_WORKER, self._name)
                return trial

    def _counted(self) -> list[FrozenTrial]:
        return [
            t for t in self.study.get_trials(deepcopy=False) if studies.finished(t) or _in_hand(t)
        ]

    def give_back(self, trial: Trial | FrozenTrial, enqueue: bool = True) -> None:
        """A trial that did not end: it does not count, and its values are tried again."""
        try:
            studies.set_attribute(self.study, trial, _AGAIN, True)
            self.study.tell(trial.number, state=TrialState.FAIL)
        except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
            return  # it ended meanwhile, or another worker was quicker
        if enqueue and trial.params:
            self.study.enqueue_trial(trial.params, user_attrs={"repeats": trial.number})

    def bury(self) -> None:
        """Give back the trials of workers that are no more."""
        with self._burial():
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if not self._alive(trial):
                    self.give_back(trial)
            for place in self._folder.iterdir():
                if place.is_dir() and place.name != self._name and not _held(place):
                    _remove(place)

    def _alive(self, trial: FrozenTrial) -> bool:
        worker = trial.user_attrs.get(_WORKER)
        if worker is None:
            now = datetime.datetime.now(datetime.timezone.utc)
            start = trial.datetime_start
            return start is not None and _age_s(start, now) < _UNCLAIMED_S
        if worker == self._name:
            return True
        return _held(self._folder / os.path.basename(str(worker)))


def _age_s(start: datetime.datetime, now: datetime.datetime) -> float:
    """Seconds since Optuna's local time, also where clocks were put forward or back in between."""
    return (now - start.astimezone(datetime.timezone.utc)).total_seconds()


def _held(place: Path) -> bool:
    """Whether a living worker holds a folder; one that is gone is held by nobody."""
    try:
        with runs.exclusive(place, "searching"):
            return False
    except Held:
        return True
    except OSError:
        return False


def _remove(place: Path) -> None:
    """A worker's folder; where a file system without locks lets another look in, it stays."""
    with contextlib.suppress(OSError):
        (place / runs.LOCK).unlink(missing_ok=True)
        place.rmdir()


def _in_hand(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.RUNNING and not trial.user_attrs.get(_AGAIN)

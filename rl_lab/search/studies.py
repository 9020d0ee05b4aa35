"""Studies: opened by URL, shared by many workers, with no trial lost or counted twice."""

from __future__ import annotations

import contextlib
import datetime
import os
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from rl_lab import runs
from rl_lab.errors import BadInput, Held, closest
from rl_lab.search.secrets import without_password

# What a study must agree on with whoever joins it; also the names in its user attributes.
FACTS = ("space", "objective", "words", "recipe")
ERROR, AGAIN, WORKER, VALUES = "error", "again", "worker", "values"
_UNCLAIMED_S = 60.0
_SAMPLERS: Mapping[str, Callable[[int], Any]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, constant_liar=True),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "qmc": lambda seed: optuna.samplers.QMCSampler(seed=seed),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "nsga": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
}
_PRUNERS: Mapping[str, Callable[[], Any]] = {
    "none": lambda: optuna.pruners.NopPruner(),
    "median": lambda: optuna.pruners.MedianPruner(),
    "halving": lambda: optuna.pruners.SuccessiveHalvingPruner(),
    "hyperband": lambda: optuna.pruners.HyperbandPruner(),
}


def sampler(name: str, seed: int) -> Any:
    """A sampler by name.

    Raises:
        BadInput: There is none of that name.
    """
    _require_known("sampler", name, _SAMPLERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return _SAMPLERS[name](seed)


def pruner(name: str) -> Any:
    """A pruner by name.

    Raises:
        BadInput: There is none of that name.
    """
    _require_known("pruner", name, _PRUNERS)
    return _PRUNERS[name]()


def _require_known(what: str, name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        raise BadInput(
            f"unknown {what} {name!r}", f"one of {', '.join(known)}", closest(name, known)
        )


def storage(url: str | None, folder: Path) -> Any:
    """Where the study is kept.

    Args:
        url: `sqlite:///FILE`, `postgresql+psycopg://...`; None is a journal file.
        folder: Of the journal file.

    Raises:
        BadInput: The database cannot be reached, is not Optuna's, or lacks a driver.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if url is None:
                folder.mkdir(parents=True, exist_ok=True)
                path = str(folder / "study.journal")
                backend = JournalFileBackend(path)
                return optuna.storages.JournalStorage(backend)
            # Two that make the tables at the same moment would collide; the folder is shared.
            with _waiting(folder / "storage.lock"):
                return optuna.storages.RDBStorage(url)
    except Exception as error:
        raise BadInput(
            f"storage {without_password(url) if url else folder} cannot be used: "
            f"{_first(error, url or '')}",
            "a database that answers and is Optuna's, or none for a journal file",
            "Look at storage=URL: sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE.",
        ) from error


def _first(error: Exception, url: str) -> str:
    text = " ".join(str(error).split()).split(" (Background on")[0].split(" [SQL:")[0]
    # Some releases of SQLAlchemy quote an address that they cannot read.
    text = text.replace(url, without_password(url)) if url else text
    return f"{type(error).__name__}: {text[:200]}"


@contextlib.contextmanager
def _waiting(path: Path) -> Iterator[None]:
    """Hold a file that others wait for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def open_study(
    kept: Any,
    name: str,
    folder: Path,
    directions: Sequence[str],
    facts: Mapping[str, Any],
    sampler: Any,
    pruner: Any,
) -> optuna.Study:
    """Make a study, or join the one of that name.

    Raises:
        BadInput: It exists with another search space, objective or training.
    """
    wanted = [StudyDirection[d.upper()] for d in directions]
    with _waiting(folder / "storage.lock"):
        study = optuna.create_study(
            storage=kept,
            study_name=name,
            directions=wanted,
            sampler=sampler,
            pruner=pruner,
            load_if_exists=True,
        )
        there = study.user_attrs
        for fact in FACTS:
            if fact not in there:
                study.set_user_attr(fact, facts[fact])
            elif there[fact] != facts[fact]:
                raise BadInput(
                    f"study {name} was made with another {_WORDS[fact]}: "
                    f"{_difference(there[fact], facts[fact])}",
                    "the same as when it was made",
                    "Choose another study=NAME.",
                )
    return study


_WORDS = {
    "space": "search space",
    "objective": "objective",
    "words": "training",
    "recipe": "recipe (its configuration now says something else)",
}


def _difference(there: Any, here: Any) -> str:
    if isinstance(there, list) and isinstance(here, list):
        old, new = ({_key(p): p for p in part} for part in (there, here))
        names = [k for k in {**old, **new} if old.get(k) != new.get(k)]
        return f"it differs in {', '.join(map(str, names[:5]))}"
    return f"{there!r} instead of {here!r}"[:300]


def _key(part: Any) -> Any:
    return part.get("key") if isinstance(part, Mapping) else part


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
        return _waiting(self._folder / "burial.lock")

    def take(self, asked: int) -> Trial | None:
        """The next trial, or None where the others in hand and the finished ones suffice."""
        self.bury()
        if len(self._counted()) >= asked:
            return None
        trial = self.study.ask()
        trial.set_user_attr(WORKER, self._name)
        # Numbers are given in one order: whoever came too late sees it.
        if sum(other.number < trial.number for other in self._counted()) >= asked:
            self.give_back(trial, enqueue=False)
            return None
        return trial

    def _counted(self) -> list[FrozenTrial]:
        return [t for t in self.study.get_trials(deepcopy=False) if finished(t) or _in_hand(t)]

    def give_back(self, trial: Trial | FrozenTrial, enqueue: bool = True) -> None:
        """A trial that did not end: it does not count, and its values are tried again."""
        try:
            set_attribute(self.study, trial, AGAIN, True)
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
        worker = trial.user_attrs.get(WORKER)
        if worker is None:
            start = trial.datetime_start or datetime.datetime.min
            return (datetime.datetime.now() - start).total_seconds() < _UNCLAIMED_S
        if worker == self._name:
            return True
        return _held(self._folder / os.path.basename(str(worker)))


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


def set_attribute(study: optuna.Study, trial: Trial | FrozenTrial, key: str, value: Any) -> None:
    """Note something on a trial, whoever runs it."""
    study._storage.set_trial_user_attr(trial._trial_id, key, value)


def finished(trial: FrozenTrial) -> bool:
    """Whether a trial counts: it has a value, was pruned, or its training failed for good."""
    if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
        return True
    return trial.state == TrialState.FAIL and ERROR in trial.user_attrs


def _in_hand(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.RUNNING and not trial.user_attrs.get(AGAIN)

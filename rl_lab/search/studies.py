"""Studies: made or joined, sampled and pruned by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from rl_lab.errors import BadInput, closest
from rl_lab.search import storages

# What a study must agree on with whoever joins it; also the names in its user attributes.
FACTS = ("space", "objective", "words", "recipe")
ERROR, VALUES = "error", "values"
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
    with storages.waiting(folder / storages.LOCK):
        study = optuna.create_study(
            storage=kept,
            study_name=name,
            directions=wanted,
            sampler=sampler,
            pruner=pruner,
            load_if_exists=True,
        )
        there = study.user_attrs
        if not there and study.get_trials(deepcopy=False):
            raise BadInput(
                f"study {name} was not made by rl-lab tune",
                "a study of rl-lab tune, or a new one",
                "Choose another study=NAME.",
            )
        require_same(name, there, facts)
        for fact in FACTS:
            if fact not in there:
                study.set_user_attr(fact, facts[fact])
    return study


def require_same(name: str, there: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Refuse to go on with a study of something else.

    Args:
        name: Of the study.
        there: What it was made with; what is not there yet agrees.
        facts: What is asked for now.

    Raises:
        BadInput: They differ; says in what.
    """
    for fact in FACTS:
        if fact in there and there[fact] != facts[fact]:
            raise BadInput(
                f"study {name} was made with another {_WORDS[fact]}: "
                f"{_difference(there[fact], facts[fact])}",
                "the same as when it was made",
                "Choose another study=NAME.",
            )


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


def set_attribute(study: optuna.Study, trial: Trial | FrozenTrial, key: str, value: Any) -> None:
    """Note something on a trial, whoever runs it."""
    study._storage.set_trial_user_attr(trial._trial_id, key, value)


def finished(trial: FrozenTrial) -> bool:
    """Whether a trial counts: it has a value, was pruned, or its training failed for good."""
    if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
        return True
    return trial.state == TrialState.FAIL and ERROR in trial.user_attrs

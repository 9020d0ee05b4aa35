"""A study as plain data: `study.json`, from which its page is made."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab import files, paths
from rl_lab.cli.tuning import FRESH_SEED, Request
from rl_lab.errors import Failed
from rl_lab.reporting.studies import FORMAT_VERSION
from rl_lab.search import studies


@dataclasses.dataclass(frozen=True)
class Won:
    """The best trial and its proof.

    Attributes:
        trial: The trial, as `study.json` has it.
        evaluation: Folder of the comparison with the untuned training, from the study's.
    """

    trial: Mapping[str, Any]
    evaluation: str


def write(
    request: Request,
    study: Any,
    won: Won | None = None,
    latencies_us: Mapping[int, float] | None = None,
) -> dict[str, Any]:
    """Write `study.json`; returns what it holds.

    Args:
        request: What was searched.
        study: The study, as Optuna has it.
        won: The best trial; None where the search is not over.
        latencies_us: Decision times by trial that go before those which the search had.

    Raises:
        Failed: The folder cannot be written to.
    """
    timed = latencies_us or {}
    data = {
        "format_version": FORMAT_VERSION,
        "name": request.name,
        "environment": request.baseline.plan.environment.id,
        "agent": request.baseline.plan.agent,
        **request.facts,
        "trials": [_trial(t, timed.get(t.number)) for t in study.get_trials(deepcopy=False)],
        "importance": _importance(study),
        "winner": None if won is None else _winner(request, won),
    }
    files.write_json(request.folder / paths.STUDY, data)
    return data


def best(trials: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The trial with the highest return; of equal ones the fastest.

    Args:
        trials: As `study.json` has them.

    Raises:
        Failed: No trial has a value.
    """
    found = [trial for trial in trials if trial["state"] == "complete"]
    if not found:
        said = next(filter(None, (trial["error"] for trial in trials)), "all were given up")
        raise Failed("no trial of the study has a value", "at least one", f"The first: {said}")
    return max(found, key=lambda t: (t["objectives"][0], *(-v for v in t["objectives"][1:])))


def _winner(request: Request, won: Won) -> dict[str, Any]:
    values = won.trial["values"]
    return {
        "trial": won.trial["number"],
        "values": values,
        "seeds": [FRESH_SEED, FRESH_SEED + request.settings["winner_seeds"] - 1],
        "recipe_hashes": {
            who: request.plan(some, FRESH_SEED).plan.recipe_hash
            for who, some in (("winner", values), ("untuned", {}))
        },
        "evaluation": won.evaluation,
    }


def _trial(trial: Any, latency_us: float | None) -> dict[str, Any]:
    facts = trial.user_attrs
    worth = list(trial.values) if trial.values else None
    in_search_us = worth[1] if worth and len(worth) > 1 else None
    if worth and latency_us is not None:
        worth[1] = latency_us
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "counts": studies.finished(trial),
        "objectives": worth,
        "latency_in_search_us": in_search_us,
        "checks": [[k, v] for k, v in sorted(trial.intermediate_values.items())],
        "values": facts.get(studies.VALUES),
        "returns": facts.get("returns"),
        "runs": facts.get("runs"),
        "error": facts.get(studies.ERROR),
    }


def _importance(study: Any) -> dict[str, float] | None:
    """Shares of the return's variation by parameter; None without variation, or for few trials."""
    import optuna

    trials = study.get_trials(deepcopy=False)
    if len({trial.values[0] for trial in trials if trial.state.name == "COMPLETE"}) < 2:
        return None
    target = (lambda t: t.values[0]) if len(study.directions) > 1 else None
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few trials: the page shows their number
            found = optuna.importance.get_param_importances(
                study, evaluator=evaluator, target=target
            )
    except (ValueError, RuntimeError):
        return None
    return {str(name): float(share) for name, share in found.items()}

"""From the episode records of several environments to the content of `suite.json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_lab.comparison import scoring, wording
from rl_lab.errors import BadInput
from rl_lab.statistics.resampling import FloatArray
from rl_lab.statistics.suite import FEWEST_ENVIRONMENTS, suite

if TYPE_CHECKING:
    from rl_lab.environments import Anchors
    from rl_lab.records import EpisodeRecord

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Part:
    """One environment of a suite.

    Attributes:
        environment: The Gymnasium id.
        records: Its episodes; those of shifted contexts are passed over.
        anchors: Its scale; None where it has none, and then it cannot be part of a suite.
    """

    environment: str
    records: Sequence[EpisodeRecord]
    anchors: Anchors | None


def summarize(parts: Sequence[Part]) -> dict[str, Any]:
    """Score every contestant over all environments, in scores where random is 0 and solved is 1.

    Contestants are matched by name. One that is missing somewhere is listed with the reason and
    no numbers: an average over fewer environments would be of another population.

    Raises:
        BadInput: Fewer than 3 environments, or one without anchors.
    """
    require_scale({part.environment: part.anchors for part in parts})
    names = sorted({record.contestant for part in parts for record in part.records})
    rows = [_contestant(name, parts) for name in names]
    rows.sort(key=lambda row: (-(row["mean"] or {"estimate": -np.inf})["estimate"], row["name"]))
    return {
        "format_version": FORMAT_VERSION,
        "environments": sorted(part.environment for part in parts),
        "contestants": rows,
    }


def require_scale(environments: Mapping[str, Anchors | None]) -> None:
    """Refuse what cannot be a suite, before anything is run.

    Raises:
        BadInput: Fewer than 3 environments, or one without anchors.
    """
    if len(environments) < FEWEST_ENVIRONMENTS:
        raise BadInput(
            f"a suite of {len(environments)} environments ({', '.join(environments)})",
            f"at least {FEWEST_ENVIRONMENTS}",
            "Evaluate them apart, with runs=FOLDER for each environment.",
        )
    for environment, anchors in environments.items():
        # Relative to the best agent would be another scale in each environment.
        scale = scoring.scale(anchors, environment, best=-np.inf)
        if isinstance(scale, str):
            raise BadInput(
                f"{environment}: {scale}",
                "random and solved returns under conf/env",
                "Without them its returns cannot be put on one scale with others.",
            )


def _contestant(name: str, parts: Sequence[Part]) -> dict[str, Any]:
    scores = {part.environment: _scores(name, part) for part in parts}
    missing = sorted(environment for environment, matrix in scores.items() if matrix is None)
    if missing:
        empty = {"mean": None, "iqm": None, "optimality_gap": None, "profile": None}
        return {"name": name, **empty, "mean_reason": f"not evaluated in {', '.join(missing)}"}
    complete: Mapping[str, FloatArray] = {k: v for k, v in scores.items() if v is not None}
    found = suite(complete, scoring.generator())
    return {
        "name": name,
        "mean": wording.interval_data(found.mean),
        "iqm": wording.interval_data(found.iqm),
        "optimality_gap": wording.interval_data(found.optimality_gap),
        "profile": {
            "taus": list(found.taus),
            "share_above": list(found.profile),
            "low": list(found.profile_low),
            "high": list(found.profile_high),
            "method": f"{found.method}, pointwise",
        },
        "per_environment": {k: float(v.mean()) for k, v in sorted(complete.items())},
    }


def _scores(name: str, part: Part) -> FloatArray | None:
    """Scores [n, k] of the training seeds that met every evaluation seed; None without any."""
    scale = scoring.scale(part.anchors, part.environment, best=-np.inf)
    assert not isinstance(scale, str)
    cells = {
        (record.training_seed, record.evaluation_seed): record.episode_return
        for record in part.records
        if record.contestant == name and record.context == scoring.NOMINAL
    }
    nominal = [r for r in part.records if r.context == scoring.NOMINAL]
    columns = sorted({record.evaluation_seed for record in nominal})
    rows = [
        [cells[seed, column] for column in columns]
        for seed in sorted({seed for seed, _ in cells})
        if all((seed, column) in cells for column in columns)
    ]
    return scale.score(rows) if rows else None

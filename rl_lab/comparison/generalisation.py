"""What scores lose outside the contexts of the training: the generalisation block.

Context sets are lists, drawn once: member i is a world that meets evaluation seed i, so each gap is
paired with the same seeds in the training context. Arrays are [n, k]: training seeds, members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_lab.comparison import scoring
from rl_lab.comparison.scoring import Cells, Setting, World
from rl_lab.comparison.wording import interval_data
from rl_lab.statistics import intervals
from rl_lab.statistics.resampling import FloatArray
from rl_lab.statistics.seeds import Seed, over_seeds

if TYPE_CHECKING:
    from rl_lab.comparison.comparing import Contestant

# Worlds, each with the evaluation seed met there.
Members = Sequence[tuple[World, int]]

_HOME = {"range": "the training context", "shifts": []}
_ONE_CONTEXT = "trained in one context: near is a shift for it, no interpolation"
_MIXED = "no context set of this evaluation lies wholly {} what was trained on"


def generalisation(
    contestant: Contestant, cells: Cells, training_seeds: Sequence[int], setting: Setting
) -> dict[str, Any]:
    """The block under "generalisation", or null under it and `generalisation_reason`."""
    sets = setting.protocol.context_sets
    if not sets:
        return _nothing("no contexts were drawn")
    if isinstance(setting.scale, str):
        return _nothing(setting.scale)
    first = next(iter(sets.values()))
    home: Members = [(scoring.NOMINAL, seed) for _, seed in first]
    shared = {"nominal": home, **sets}
    wanted: dict[str, Mapping[int, Members]] = {
        name: {seed: members for seed in training_seeds} for name, members in shared.items()
    }
    wanted = {"train": contestant.learning.contexts or wanted["nominal"], **wanted}
    seeds = [s for s in training_seeds if all(_known(cells, s, w.get(s)) for w in wanted.values())]
    if not seeds:
        return _nothing("no training seed has all its episodes")
    scores = {name: _scores(cells, seeds, members, setting) for name, members in wanted.items()}
    return {
        "generalisation": {
            "trained_on": contestant.learning.trained_on or _HOME,
            "scores": {name: _score(matrix, setting) for name, matrix in scores.items()},
            **_gaps(contestant, scores),
            "gap_seeds": None,
            "gap_seeds_reason": contestant.learning.no_seed_gap,
            **_train_eval(contestant, cells, seeds, setting),
        }
    }


def _nothing(reason: str) -> dict[str, Any]:
    return {"generalisation": None, "generalisation_reason": reason}


def _known(cells: Cells, seed: int, members: Members | None) -> bool:
    return members is not None and all((seed, world, e) in cells for world, e in members)


def _scores(
    cells: Cells,
    seeds: Sequence[int],
    members: Mapping[int, Members],
    setting: Setting,
) -> FloatArray:
    assert not isinstance(setting.scale, str)
    return setting.scale.score([[cells[s, world, e] for world, e in members[s]] for s in seeds])


def _mean(scores_nk: FloatArray) -> dict[str, Any]:
    return interval_data(intervals.reward_interval(scores_nk, scoring.generator()))


def _score(scores_nk: FloatArray, setting: Setting) -> dict[str, Any]:
    mean = intervals.reward_interval(scores_nk, scoring.generator())
    return interval_data(scoring.scores_within_reach(mean, scores_nk, setting))


def _gaps(contestant: Contestant, scores: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Score in the training contexts less that in each set, pair by pair."""
    gaps: dict[str, Any] = {
        f"gap_{name}": _mean(scores["train"] - scores[name]) for name in ("near", "far")
    }
    inside = contestant.learning.inside
    within = next((name for name in ("near", "far") if inside.get(name) is True), None)
    beyond = next((name for name in ("far", "near") if inside.get(name) is False), None)
    reason = _MIXED.format("within")
    if contestant.learning.trained_on is None:
        within, beyond, reason = None, "far", _ONE_CONTEXT
    return {
        **gaps,
        "interpolation_set": within,
        **_gap_of(gaps, "gap_interpolation", within, reason),
        "extrapolation_set": beyond,
        **_gap_of(gaps, "gap_extrapolation", beyond, _MIXED.format("outside")),
    }


def _gap_of(gaps: Mapping[str, Any], key: str, name: str | None, reason: str) -> dict[str, Any]:
    """The gap of a set under another name; without a set, null and both reasons."""
    if name is not None:
        return {key: gaps[f"gap_{name}"]}
    of_set = key.replace("gap_", "") + "_set_reason"
    return {key: None, f"{key}_reason": reason, of_set: reason}


def _train_eval(
    contestant: Contestant, cells: Cells, seeds: Sequence[int], setting: Setting
) -> dict[str, Any]:
    """Mean return of the last training episodes, exploration and all, less the evaluation's."""
    returns = contestant.learning.last_returns
    reason = contestant.learning.no_returns
    if not reason and contestant.learning.trained_on is not None:
        reason = "training episodes were in drawn contexts, the evaluation's in one"
    missing = [seed for seed in seeds if seed not in returns]
    if not reason and missing:
        reason = "the runs' returns in training are not at hand"
    if reason:
        return {"gap_train_eval": None, "gap_train_eval_reason": reason}
    gaps = [
        returns[s] - np.array([cells[s, scoring.NOMINAL, e] for e in setting.evaluation_seeds])
        for s in seeds
    ]
    found = [Seed(gaps_k, lambda gaps: gaps.mean(axis=-1)) for gaps_k in gaps]
    return {"gap_train_eval": interval_data(over_seeds(found, scoring.generator()))}


def matrix(contestants: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows: how each contestant was trained, D or R; columns: where it was tested, D, R and E.

    Row R is for those whose training drew from what the near set is drawn from; who was trained on
    other contexts has no row.
    """
    kinds = {c["name"]: _kind(c["generalisation"]) for c in contestants if c.get("generalisation")}
    known = [c for c in contestants if kinds.get(c["name"])]
    if {"D", "R"} - set(kinds.values()):
        reason = "no two contestants were trained differently, in one context and in drawn ones"
        return {"generalisation_matrix": None, "generalisation_matrix_reason": reason}
    columns = {"D": "nominal", "R": "near", "E": "far"}
    rows = [
        {
            "contestant": c["name"],
            "trained": kinds[c["name"]],
            **{letter: c["generalisation"]["scores"][name] for letter, name in columns.items()},
        }
        for c in known
    ]
    rows.sort(key=lambda row: str(row["trained"]))
    return {"generalisation_matrix": rows}


def _kind(block: Mapping[str, Any]) -> str:
    if block["trained_on"] == _HOME:
        return "D"
    return "R" if block["interpolation_set"] == "near" else ""

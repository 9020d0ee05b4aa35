"""From episode records to the content of `scores.json`.

Everything is computed per training seed first; intervals are over the training seeds.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rl_lab.comparison import generalisation as generalising
from rl_lab.comparison import scoring, wording
from rl_lab.comparison.robustness import robustness
from rl_lab.comparison.scoring import Cells, Protocol, Setting, World
from rl_lab.errors import BadInput
from rl_lab.scores_file import FORMAT_VERSION
from rl_lab.statistics import intervals, measures, shares
from rl_lab.statistics.resampling import FloatArray
from rl_lab.statistics.scale import Scale

if TYPE_CHECKING:
    from rl_lab.environments import Anchors
    from rl_lab.records import EpisodeRecord


@dataclasses.dataclass(frozen=True)
class Learning:
    """What is known of a recipe's training.

    Attributes:
        trained_on: The contexts it was trained on; None for the one training context.
        inside: Whether a context set of the evaluation is drawn from within these (True), or from
            outside (False); None where partly.
        contexts: The first of these that each training seed met, as a world and the evaluation
            seed that it meets there; empty where it was trained in one.
        last_returns: Mean return of the last 100 training episodes, by training seed.
        no_returns: Why these do not compare with the policy's own; "" where they do.
        no_seed_gap: Why there is no gap between initial states of the training and fresh ones.
    """

    trained_on: Mapping[str, Any] | None
    inside: Mapping[str, bool | None]
    contexts: Mapping[int, Sequence[tuple[World, int]]]
    last_returns: Mapping[int, float]
    no_returns: str
    no_seed_gap: str


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A recipe that takes part in an evaluation.

    Attributes:
        name: Unique within the evaluation; the records' `contestant`.
        agent: Name of the agent's configuration.
        algorithm: Name of the algorithm.
        recipe_hash: Eight digits that name the recipe.
        training_seeds: Seeds of its runs; -1 where not known.
        training: What training cost, as in `scores.json`; None where not known.
        learning: Where and how it learned.
    """

    name: str
    agent: str
    algorithm: str
    recipe_hash: str
    training_seeds: tuple[int, ...]
    training: Mapping[str, Any] | None
    learning: Learning


@dataclasses.dataclass(frozen=True)
class _Scored:
    """A contestant with its returns [n, k] in the training context; n may be 0."""

    data: dict[str, Any]
    returns_nk: FloatArray


def compare(
    records: Iterable[EpisodeRecord],
    contestants: Sequence[Contestant],
    environment: str,
    anchors: Anchors | None,
    protocol: Protocol,
    failures: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Score all contestants and compare each with the best.

    Args:
        records: Episodes in any order; other environments and contestants are left aside.
        contestants: Who takes part.
        environment: The Gymnasium id.
        anchors: The environment's scale; None where it is not known.
        protocol: How the episodes were run.
        failures: `{contestant, training_seed, message}` of what went wrong.

    Returns:
        The content of `scores.json`.

    Raises:
        BadInput: Two contestants share a name, or records contradict each other.
    """
    cells = _cells(records, contestants, environment)
    scale = scoring.scale(anchors, environment, _best(cells, contestants, protocol))
    setting = Setting(environment, anchors, scale, protocol)
    scored = [_score(contestant, cells[contestant.name], setting) for contestant in contestants]
    scored.sort(key=_rank)
    ranked = [entry.data for entry in _with_differences(scored)]
    return {
        "format_version": FORMAT_VERSION,
        "environment": environment,
        "anchors": None if anchors is None else dataclasses.asdict(anchors),
        **_scale_data(scale),
        "protocol": protocol.to_data(),
        "contestants": ranked,
        **generalising.matrix(ranked),
        "verdict": wording.verdict(ranked),
        "failures": _failures_data(failures),
    }


def _best(
    cells: Mapping[str, Cells], contestants: Sequence[Contestant], protocol: Protocol
) -> float:
    """The highest mean return of a contestant in the training world; -inf without any."""
    means = [
        float(returns_nkl.mean())
        for c in contestants
        for seeds, returns_nkl in [_nominal(cells[c.name], c, protocol)]
        if seeds
    ]
    return max(means, default=-math.inf)


def _nominal(
    cells: Cells, contestant: Contestant, protocol: Protocol
) -> tuple[list[int], FloatArray]:
    return scoring.complete(cells, contestant.training_seeds, [scoring.NOMINAL], protocol.published)


def _scale_data(scale: Scale | str) -> dict[str, Any]:
    if isinstance(scale, str):
        return {"scale": None, "scale_reason": scale}
    return {"scale": dataclasses.asdict(scale)}


def _cells(
    records: Iterable[EpisodeRecord], contestants: Sequence[Contestant], environment: str
) -> dict[str, Cells]:
    cells: dict[str, dict[tuple[int, scoring.World, int], float]] = {
        c.name: {} for c in contestants
    }
    if len(cells) < len(contestants):
        names = sorted(c.name for c in contestants)
        raise BadInput(f"contestants named {', '.join(names)}", "a different name for each")
    for record in records:
        if record.environment != environment or record.contestant not in cells:
            continue
        key = record.key[1:]
        known = cells[record.contestant].setdefault(key, record.episode_return)
        if known != record.episode_return or not math.isfinite(known):
            raise BadInput(
                f"episode {record.key} has the returns {known} and {record.episode_return}",
                "one finite return per episode",
                "Repeat the evaluation.",
            )
    return dict(cells)


def _score(contestant: Contestant, cells: Cells, setting: Setting) -> _Scored:
    declared = sorted(set(contestant.training_seeds))
    seeds, returns_nkl = _nominal(cells, contestant, setting.protocol)
    data: dict[str, Any] = {
        "name": contestant.name,
        "agent": contestant.agent,
        "algorithm": contestant.algorithm,
        "recipe_hash": contestant.recipe_hash,
        "training_seeds": declared,
    }
    training = None if contestant.training is None else dict(contestant.training)
    if not seeds:
        of = intervals.counted(len(declared), "training seed")
        reason = (
            f"none of {of} has all {intervals.counted(len(setting.evaluation_seeds), 'episode')}"
        )
        data |= {"reward": None, "reward_reason": reason, "to_best": None}
        data |= {"robustness": None, "robustness_reason": reason}
        data |= {"generalisation": None, "generalisation_reason": reason, "training": training}
        return _Scored(data, returns_nkl)
    returns_nk = returns_nkl[:, :, 0]
    data |= {"reward": scoring.reward(seeds, returns_nk, setting), "to_best": None}
    data |= robustness(cells, seeds, setting)
    data |= {**generalising.generalisation(contestant, cells, seeds, setting), "training": training}
    return _Scored(data, returns_nk)


def _rank(entry: _Scored) -> tuple[float, str]:
    reward = entry.data["reward"]
    return -reward["mean"]["estimate"] if reward else math.inf, entry.data["name"]


def _with_differences(ranked: Sequence[_Scored]) -> Sequence[_Scored]:
    """Fill `to_best` of every scored contestant but the first."""
    present = [entry for entry in ranked if entry.data["reward"]]
    others = present[1:]
    for entry in others:
        entry.data["to_best"] = _to_best(entry, present[0])
    tests = [entry.data["to_best"] for entry in others]
    tested = [test for test in tests if test["p_value"] is not None]
    for test, adjusted in zip(tested, intervals.holm([t["p_value"] for t in tested]), strict=True):
        test["p_holm"] = adjusted
    return ranked


def _to_best(entry: _Scored, best: _Scored) -> dict[str, Any]:
    a, b = entry.returns_nk, best.returns_nk
    name_a, name_b = entry.data["name"], best.data["name"]
    delta = intervals.delta_interval(a, b, scoring.generator())
    context = [*scoring.unless_said(delta.method, a.shape[1]), f"A = {name_a}, B = {name_b}"]
    improvement = math.nan
    if len(a) == len(b) == 1:
        context.append("THESE CHECKPOINTS ONLY (1 training seed each)")
    else:
        improvement = measures.prob_improvement(a.mean(axis=1), b.mean(axis=1))
    likely = shares.improvement_interval(a, b, scoring.generator())
    wins = shares.win_interval(a, b, scoring.generator())
    p_value = intervals.delta_p_value(a, b, scoring.generator())
    label = wording.label("delta", delta, context, sign=True)
    return {
        "against": name_b,
        "delta": wording.interval_data(delta, label),
        **scoring.stated("p_value", p_value, delta.method),
        "p_holm": None,
        **scoring.stated("prob_improvement", improvement, "one training seed each"),
        "prob_improvement_interval": wording.interval_data(likely),
        "win_rate": wins.estimate,
        "win_rate_interval": wording.interval_data(wins),
    }


def _failures_data(failures: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = [{key: f[key] for key in ("contestant", "training_seed", "message")} for f in failures]
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])

"""Scores of one contestant: reward in the training context, robustness along a shift.

Arrays are [n, k] or [n, k, l]: training seeds, evaluation seeds, levels of the shift.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_lab import seeding
from rl_lab.comparison import wording
from rl_lab.comparison.wording import interval_data, number
from rl_lab.statistics import intervals, measures
from rl_lab.statistics.intervals import Interval, counted
from rl_lab.statistics.resampling import FloatArray

if TYPE_CHECKING:
    from rl_lab.environments import Anchors

NOMINAL = ("none", 0.0)
# Training seed, shift, magnitude, evaluation seed -> return.
Cells = Mapping[tuple[int, str, float, int], float]

_CVAR_SHARE = 0.1
_CVAR_EPISODES = 50


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How the episodes were run.

    Attributes:
        episodes: Evaluation episodes per training seed.
        seed: Root of the evaluation seeds.
        evaluation_seeds: First and last of them.
        shift: Name of the shift; None where none was evaluated.
        deltas: Magnitudes of the shift in [0, 1]; 0 is there with or without being listed.
        shift_episodes: Episodes per magnitude, on the first evaluation seeds.
        step_limit: Of episodes in an environment without a limit of its own.
        deterministic: Whether policies act without drawing.
    """

    episodes: int
    seed: int
    evaluation_seeds: tuple[int, int]
    shift: str | None
    deltas: tuple[float, ...]
    shift_episodes: int
    step_limit: int
    deterministic: bool = True


@dataclasses.dataclass(frozen=True)
class ShiftFacts:
    """What a shift changes.

    Attributes:
        name: The shift's name.
        parameter: What it changes.
        unit: Unit of the parameter.
        values: Pairs of a magnitude and the parameter's value there.
    """

    name: str
    parameter: str
    unit: str
    values: tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all contestants of an evaluation share."""

    environment: str
    anchors: Anchors | None
    protocol: Protocol
    shift: ShiftFacts | None

    @property
    def evaluation_seeds(self) -> range:
        """The published list."""
        first, last = self.protocol.evaluation_seeds
        return range(first, last + 1)

    @property
    def no_scale(self) -> str:
        """Why returns cannot be scored; "" where they can."""
        if self.anchors is None:
            return f"no anchors are known for {self.environment}"
        if not self.anchors.solved > self.anchors.random:
            return f"the anchors of {self.environment} have solved not above random"
        return ""

    def context(self, seeds: Sequence[int], method: str, episodes: int) -> list[str]:
        """What follows the method in a label."""
        if len(seeds) == 1:
            return ["THIS CHECKPOINT ONLY (1 training seed)"]
        mode = "deterministic" if self.protocol.deterministic else "stochastic"
        return [*unless_said(method, episodes), mode]


def unless_said(method: str, episodes: int) -> list[str]:
    """The number of evaluation seeds, for a label whose method does not give it."""
    noun = "shared evaluation seed"
    return [] if noun in method else [counted(episodes, noun)]


def complete(
    cells: Cells,
    training_seeds: Sequence[int],
    contexts: Sequence[tuple[str, float]],
    evaluation_seeds: Sequence[int],
) -> tuple[list[int], FloatArray]:
    """The training seeds that have every episode, and their returns [n, k, l]."""
    rows = {
        seed: [[cells.get((seed, *context, e)) for context in contexts] for e in evaluation_seeds]
        for seed in sorted(set(training_seeds))
    }
    whole = [seed for seed, row in rows.items() if not any(None in values for values in row)]
    return whole, np.array([rows[seed] for seed in whole], dtype=float)


def reward(seeds: Sequence[int], returns_nk: FloatArray, setting: Setting) -> dict[str, Any]:
    """The reward block of `scores.json`."""
    n, k = returns_nk.shape
    means_n = returns_nk.mean(axis=1)
    mean = intervals.reward_interval(returns_nk, generator())
    context = setting.context(seeds, mean.method, k)
    if n > 1:
        context += ["undiscounted return", setting.environment]
    cvar = np.nan
    if k >= _CVAR_EPISODES:
        cvar = float(np.mean([measures.cvar(row, _CVAR_SHARE) for row in returns_nk]))
    episodes = float(np.mean([measures.dispersion(row) for row in returns_nk]))
    return {
        "per_seed": _per_seed(seeds, means_n),
        "claim": "policy" if n == 1 else "algorithm",
        "indicative": 1 < n < wording.INDICATIVE_SEEDS,
        "mean": interval_data(mean, wording.label("mean", mean, context)),
        "median": float(np.median(means_n)),
        "min": float(means_n.min()),
        "max": float(means_n.max()),
        **stated("seed_dispersion", measures.dispersion(means_n), "one training seed"),
        **stated("episode_dispersion", episodes, "one episode"),
        **stated("episode_cvar10", cvar, f"fewer than {_CVAR_EPISODES} episodes"),
        **_success_rate(returns_nk, setting),
        **_score(mean, setting),
    }


def _success_rate(returns_nk: FloatArray, setting: Setting) -> dict[str, Any]:
    if setting.anchors is None:
        return {"success_rate": None, "success_rate_reason": setting.no_scale}
    solved_nk = (returns_nk >= setting.anchors.solved).astype(float)
    rate = intervals.reward_interval(solved_nk, generator()).clipped(0.0, 1.0)
    if len(solved_nk) == 1:
        rate = intervals.wilson(int(solved_nk.sum()), solved_nk.size)
    return {"success_rate": interval_data(rate)}


def _score(mean: Interval, setting: Setting) -> dict[str, Any]:
    if setting.anchors is None or setting.no_scale:
        return {"score": None, "score_reason": setting.no_scale}
    score = setting.anchors.score
    ends = {key: score(getattr(mean, key)) for key in ("estimate", "low", "high")}
    return {"score": {key: number(value) for key, value in ends.items()}}


def robustness(cells: Cells, training_seeds: Sequence[int], setting: Setting) -> dict[str, Any]:
    """The robustness block of `scores.json`, or null and `robustness_reason`."""
    protocol, anchors = setting.protocol, setting.anchors
    if protocol.shift is None or protocol.shift_episodes < 1 or not any(protocol.deltas):
        return _no_robustness("no shift was evaluated")
    if anchors is None or setting.no_scale:
        return _no_robustness(setting.no_scale)
    deltas = sorted({0.0, *map(float, protocol.deltas)})
    contexts = [NOMINAL, *((protocol.shift, delta) for delta in deltas[1:])]
    first = protocol.evaluation_seeds[0]
    shared = range(first, first + protocol.shift_episodes)
    seeds, returns_nkl = complete(cells, training_seeds, contexts, shared)
    if not seeds:
        return _no_robustness("no training seed has all its shifted episodes")
    scores_nkl = np.vectorize(anchors.score)(returns_nkl)
    areas_n = measures.area_under(deltas, scores_nkl.mean(axis=1))
    auc = _auc(deltas, scores_nkl, areas_n)
    context = setting.context(seeds, auc.method, len(shared))
    if len(seeds) > 1:
        context += [f"shift {protocol.shift}", setting.environment]
    return {
        "robustness": {
            "shift": protocol.shift,
            "parameter": setting.shift.parameter if setting.shift else None,
            "unit": setting.shift.unit if setting.shift else None,
            "levels": _levels(deltas, returns_nkl, scores_nkl, setting),
            "auc": interval_data(auc, wording.label("auc", auc, context, decimals=3)),
            "worst": float(scores_nkl.mean(axis=(0, 1)).min()),
            "per_seed_auc": _per_seed(seeds, areas_n),
        }
    }


def _no_robustness(reason: str) -> dict[str, Any]:
    return {"robustness": None, "robustness_reason": reason}


def _levels(
    deltas: Sequence[float], returns_nkl: FloatArray, scores_nkl: FloatArray, setting: Setting
) -> list[dict[str, Any]]:
    values = dict(setting.shift.values) if setting.shift else {}
    levels = []
    for level, delta in enumerate(deltas):
        score = intervals.reward_interval(scores_nkl[:, :, level], generator())
        levels.append(
            {
                "delta": delta,
                "value": values.get(delta),
                "mean_return": float(returns_nkl[:, :, level].mean()),
                "score": score.estimate,
                "low": number(score.low),
                "high": number(score.high),
            }
        )
    return levels


def _auc(deltas: Sequence[float], scores_nkl: FloatArray, areas_n: FloatArray) -> Interval:
    def mean_area(stack: FloatArray) -> FloatArray:
        return np.asarray(measures.area_under(deltas, stack.mean(axis=2)).mean(axis=1))

    if deltas[-1] != 1.0:
        return intervals.no_interval(np.nan, f"magnitudes end at {deltas[-1]}, no area over [0, 1]")
    if 1 < len(scores_nkl) < intervals.BOOTSTRAP_SEEDS:
        return intervals.t_interval(areas_n, "training seed").clipped(0.0, 1.0)
    return intervals.crossed_bootstrap(scores_nkl, mean_area, generator())


def generator() -> np.random.Generator:
    """The same draws for every interval, so that no contestant's numbers depend on another's."""
    return seeding.generator(0, "comparison")


def stated(key: str, value: float, reason: str) -> dict[str, Any]:
    """A number, or null and `<key>_reason`."""
    return {key: None, f"{key}_reason": reason} if np.isnan(value) else {key: float(value)}


def _per_seed(seeds: Sequence[int], values_n: FloatArray) -> dict[str, float | None]:
    return {str(seed): number(value) for seed, value in zip(seeds, values_n, strict=True)}

"""Scores of one contestant in the training context, and what all its scores share.

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
from rl_lab.statistics import intervals, measures, shares
from rl_lab.statistics.intervals import Interval, counted
from rl_lab.statistics.resampling import FloatArray
from rl_lab.statistics.scale import Scale, scale_of

if TYPE_CHECKING:
    from rl_lab.environments import Anchors

# Shift, magnitude, schedule: what names a world in the records.
World = tuple[str, float, str]
NOMINAL: World = ("none", 0.0, "none")
# Training seed, world, evaluation seed -> return.
Cells = Mapping[tuple[int, World, int], float]

ONE_CHECKPOINT = "THIS CHECKPOINT ONLY (1 training seed)"
CVAR_SHARE = 0.1
# Below this the worst tenth is a handful of episodes.
CVAR_EPISODES = 50
_WORST_SEEDS = 4  # one in so many, rounded up


@dataclasses.dataclass(frozen=True)
class ShiftFacts:
    """What a shift changes.

    Attributes:
        name: The shift's name.
        parameter: What it changes.
        unit: Unit of the parameter.
        near_delta: The magnitude at which near ends and far begins.
        values: Pairs of a magnitude and the parameter's value there.
    """

    name: str
    parameter: str
    unit: str
    near_delta: float
    values: tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True)
class GridCell:
    """Two magnitudes, and the world that they make."""

    deltas: tuple[float, float]
    world: World


@dataclasses.dataclass(frozen=True)
class Grid:
    """Two shifts at once, at every pair of magnitudes."""

    shifts: tuple[str, str]
    cells: tuple[GridCell, ...]


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How the episodes were run.

    Attributes:
        episodes: Evaluation episodes per training seed.
        seed: Root of the evaluation seeds.
        evaluation_seeds: First and last of them.
        shifts: Each was evaluated along its path.
        deltas: Magnitudes of the shifts in [0, 1]; 0 is there with or without being listed.
        shift_episodes: Episodes per magnitude, on the first evaluation seeds.
        grid: Two shifts at once, or None.
        schedule: How magnitudes moved in the scheduled episodes, or None.
        context_sets: `near` and `far`: members are a world and the evaluation seed met there.
        step_limit: Of episodes in an environment without a limit of its own.
        deterministic: Whether policies act without drawing.
    """

    episodes: int
    seed: int
    evaluation_seeds: tuple[int, int]
    shifts: tuple[ShiftFacts, ...]
    deltas: tuple[float, ...]
    shift_episodes: int
    grid: Grid | None
    schedule: str | None
    context_sets: Mapping[str, tuple[tuple[World, int], ...]]
    step_limit: int
    deterministic: bool = True

    @property
    def published(self) -> range:
        """The list of evaluation seeds."""
        first, last = self.evaluation_seeds
        return range(first, last + 1)

    def to_data(self) -> dict[str, Any]:
        """As in `scores.json`."""
        return {
            "episodes": self.episodes,
            "seed": self.seed,
            "evaluation_seeds": list(self.evaluation_seeds),
            "shifts": [
                {key: getattr(facts, key) for key in ("name", "parameter", "unit", "near_delta")}
                for facts in self.shifts
            ],
            "deltas": list(self.deltas),
            "shift_episodes": self.shift_episodes,
            "grid": list(self.grid.shifts) if self.grid else [],
            "schedule": self.schedule or "none",
            "context_sets": {
                name: [
                    {"shift": world[0], "delta": world[1], "evaluation_seed": seed}
                    for world, seed in members
                ]
                for name, members in self.context_sets.items()
            },
            "step_limit": self.step_limit,
            "deterministic": self.deterministic,
        }


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all contestants of an evaluation share.

    Attributes:
        environment: The Gymnasium id.
        anchors: What is declared of its returns; None where nothing is.
        scale: Which returns count as 0 and 1 in every block, or why there is no scale.
        protocol: How the episodes were run.
    """

    environment: str
    anchors: Anchors | None
    scale: Scale | str
    protocol: Protocol

    @property
    def evaluation_seeds(self) -> range:
        """The published list."""
        return self.protocol.published

    def context(self, seeds: Sequence[int], method: str, episodes: int) -> list[str]:
        """What follows the method in a label."""
        if len(seeds) == 1:
            return [ONE_CHECKPOINT]
        mode = "deterministic" if self.protocol.deterministic else "stochastic"
        return [*unless_said(method, episodes), mode]


def scale(anchors: Anchors | None, environment: str, best: float) -> Scale | str:
    """Which returns count as 0 and 1, or why there is no scale.

    Args:
        anchors: What is declared of the environment's returns.
        environment: Its id.
        best: Highest mean return of a contestant in the training world.
    """
    if anchors is None:
        return f"no anchors are known for {environment}"
    return scale_of(anchors.random, anchors.solved, best)


def unless_said(method: str, episodes: int) -> list[str]:
    """The number of evaluation seeds, for a label whose method does not give it."""
    noun = "shared evaluation seed"
    return [] if noun in method else [counted(episodes, noun)]


def complete(
    cells: Cells,
    training_seeds: Sequence[int],
    contexts: Sequence[World],
    evaluation_seeds: Sequence[int],
) -> tuple[list[int], FloatArray]:
    """The training seeds that have every episode, and their returns [n, k, l]."""
    rows = {
        seed: [[cells.get((seed, context, e)) for context in contexts] for e in evaluation_seeds]
        for seed in sorted(set(training_seeds))
    }
    whole = [seed for seed, row in rows.items() if not any(None in values for values in row)]
    return whole, np.array([rows[seed] for seed in whole], dtype=float)


def reward(seeds: Sequence[int], returns_nk: FloatArray, setting: Setting) -> dict[str, Any]:
    """The reward block of `scores.json`."""
    n, k = returns_nk.shape
    means_n = returns_nk.mean(axis=1)
    ceiling = None if setting.anchors is None else setting.anchors.ceiling
    mean = within_reach(intervals.reward_interval(returns_nk, generator()), returns_nk, ceiling)
    context = setting.context(seeds, mean.method, k)
    if n > 1:
        context += ["undiscounted return", setting.environment]
    reason = f"fewer than {CVAR_EPISODES} episodes"
    cvar = intervals.no_interval(np.nan, reason)
    if k >= CVAR_EPISODES:
        cvar = shares.cvar_interval(returns_nk, CVAR_SHARE, generator())
    episodes = float(np.mean([measures.dispersion(row) for row in returns_nk]))
    return {
        "per_seed": per_seed(seeds, means_n),
        "claim": "policy" if n == 1 else "algorithm",
        "indicative": 1 < n < wording.INDICATIVE_SEEDS,
        "mean": interval_data(mean, wording.label("mean", mean, context)),
        "median": float(np.median(means_n)),
        "min": float(means_n.min()),
        "max": float(means_n.max()),
        **stated("seed_dispersion", measures.dispersion(means_n), "one training seed"),
        **stated("episode_dispersion", episodes, "one episode"),
        **stated("episode_cvar10", cvar.estimate, reason),
        "episode_cvar10_interval": interval_data(cvar),
        "seed_cvar25": float(np.sort(means_n)[: -(-n // _WORST_SEEDS)].mean()),
        **_success_rate(returns_nk, setting),
        **_score(mean, setting),
    }


def within_reach(mean: Interval, values: FloatArray, ceiling: float | None) -> Interval:
    """The interval without what lies above the highest possible value, which says that it was cut.

    Student's t knows no bounds: 3 runs near CartPole's 500 reach far beyond it. No mean can lie
    there, so cutting loses no coverage. A ceiling that a value has passed is none.
    """
    if ceiling is None or not mean.high > ceiling or values.max() > ceiling:
        return mean
    cut = f"{mean.method}, cut at the ceiling {ceiling:g}"
    return dataclasses.replace(mean, high=ceiling, method=cut)


def scores_within_reach(mean: Interval, scores: FloatArray, setting: Setting) -> Interval:
    """The same for an interval of scores: no shift alters what can be earned at most."""
    ceiling = None if setting.anchors is None else setting.anchors.ceiling
    if ceiling is None or isinstance(setting.scale, str):
        return mean
    return within_reach(mean, scores, float(setting.scale.score(ceiling)))


def _success_rate(returns_nk: FloatArray, setting: Setting) -> dict[str, Any]:
    anchors = setting.anchors
    if anchors is None or anchors.solved is None or not anchors.solved > anchors.random:
        reason = f"no return counts as solved in {setting.environment}"
        return {"success_rate": None, "success_rate_reason": reason}
    solved_nk = (returns_nk >= anchors.solved).astype(float)
    rate = intervals.reward_interval(solved_nk, generator()).clipped(0.0, 1.0)
    if len(solved_nk) > 1 and not np.ptp(solved_nk.mean(axis=1)):
        # Of the share among other seeds an interval without width would claim everything.
        rate = intervals.no_interval(rate.estimate, f"all {len(solved_nk)} training seeds alike")
    if len(solved_nk) == 1:
        rate = intervals.wilson(int(solved_nk.sum()), solved_nk.size)
    return {"success_rate": interval_data(rate)}


def _score(mean: Interval, setting: Setting) -> dict[str, Any]:
    if isinstance(setting.scale, str):
        return {"score": None, "score_reason": setting.scale}
    ends = (mean.estimate, mean.low, mean.high)
    scores = map(number, setting.scale.score(ends))
    label = setting.scale.label
    return {
        "score": dict(zip(("estimate", "low", "high"), scores, strict=True)),
        **({"score_reason": label} if label else {}),
    }


def generator() -> np.random.Generator:
    """The same draws for every interval, so that no contestant's numbers depend on another's."""
    return seeding.generator(0, "comparison")


def stated(key: str, value: float, reason: str) -> dict[str, Any]:
    """A number, or null and `<key>_reason`."""
    return {key: None, f"{key}_reason": reason} if np.isnan(value) else {key: float(value)}


def per_seed(seeds: Sequence[int], values_n: FloatArray) -> dict[str, float | None]:
    """One number for each training seed, under its name."""
    return {str(seed): number(value) for seed, value in zip(seeds, values_n, strict=True)}

"""From the episodes of an adaptation's snapshots to curves of each training seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_lab.adaptations import CONTINUED, SCRATCH, SnapshotName
from rl_lab.statistics.adaptation import Curves
from rl_lab.statistics.resampling import FloatArray
from rl_lab.statistics.scale import Scale
from rl_lab.statistics.seeds import Seed

if TYPE_CHECKING:
    from rl_lab.records import EpisodeRecord

_HOME = "none"


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of one adaptation besides its episodes.

    Attributes:
        contestant: The contestant's name.
        training_seed: The run's seed.
        kind: CONTINUED or SCRATCH.
        shift: Name of the context.
        delta: Its magnitude.
        parameter: What the shift changes.
        unit: Unit of that.
        value: The parameter's value in the context; None where it has none.
        budget: Steps that were asked for.
        steps: Steps at which there are snapshots.
        costs: What the training took: `gradient_updates`, `seconds`, `cpu_seconds`.
        energy: `{source, joules, gpu_joules}` of the machine meanwhile, snapshots included; empty
            where it was not counted.
        declared: What was carried over, in words.
    """

    contestant: str
    training_seed: int
    kind: str
    shift: str
    delta: float
    parameter: str | None
    unit: str | None
    value: float | None
    budget: int
    steps: tuple[int, ...]
    costs: Mapping[str, float]
    energy: Mapping[str, Any]
    declared: Mapping[str, str]


# Snapshot, training seed, shift of the world that it was judged in -> returns by evaluation seed.
Cells = Mapping[tuple[SnapshotName, int, str], Mapping[int, float]]


def cells_of(records: Iterable[EpisodeRecord]) -> Cells:
    """Returns of all snapshots."""
    cells: dict[tuple[SnapshotName, int, str], dict[int, float]] = {}
    for record in records:
        key = (SnapshotName.parse(record.contestant), record.training_seed, record.shift)
        cells.setdefault(key, {})[record.evaluation_seed] = record.episode_return
    return cells


@dataclasses.dataclass(frozen=True)
class SeedCurves:
    """What one training seed earned along its continued training.

    Attributes:
        seed: The training seed.
        facts: What the continued training was.
        faced: The evaluation seeds.
        steps: Steps of the snapshots [p].
        scores_kwp: In the shifted world, at home, and of the twin from scratch, where there is one.
    """

    seed: int
    facts: Facts
    faced: tuple[int, ...]
    steps: Sequence[float]
    scores_kwp: FloatArray

    @property
    def has_twin(self) -> bool:
        """Whether another training began from scratch."""
        return len(self.scores_kwp[0]) == 3

    @property
    def curves(self) -> Curves:
        """Those of the episodes as they are."""
        return self._curves(self.scores_kwp)

    def of(self, measure: Callable[[Curves], FloatArray]) -> Seed:
        """A number of these curves, for an interval over training seeds."""
        return Seed(self.scores_kwp, lambda scores: measure(self._curves(scores)))

    def _curves(self, scores: FloatArray) -> Curves:
        """Curves [..., p] of episodes [..., k, w, p]."""
        lost_k = self.scores_kwp[:, 1, 0] - self.scores_kwp[:, 0, 0]
        error = float(lost_k.std(ddof=1) / len(lost_k) ** 0.5) if len(lost_k) > 1 else None
        shifted, original, *scratch = np.moveaxis(scores.mean(axis=-3), -2, 0)
        return Curves(self.steps, shifted, original, scratch[0] if scratch else None, error)


def of_seeds(facts: Sequence[Facts], cells: Cells, scale: Scale) -> list[SeedCurves]:
    """The curves of every continued training that has all its episodes.

    Args:
        facts: Of the trainings in one shifted world, continued and from scratch.
        cells: Returns of their snapshots.
        scale: Which returns count as 0 and 1.
    """
    # Rollouts need not end at the same step; no curve is read beyond its own end.
    until = min((f.steps[-1] for f in facts if len(f.steps) > 1), default=0)
    twins = {f.training_seed: f for f in facts if f.kind == SCRATCH}
    continued = sorted((f for f in facts if f.kind == CONTINUED), key=lambda f: f.training_seed)
    found = [_of_seed(f, twins.get(f.training_seed), cells, scale, until) for f in continued]
    whole = [curves for curves in found if curves is not None]
    # Seeds are compared on equal terms: one that was cut off after fewer episodes is not whole.
    faced = max((curves.faced for curves in whole), key=len, default=())
    return [curves for curves in whole if curves.faced == faced]


def _of_seed(
    facts: Facts, twin: Facts | None, cells: Cells, scale: Scale, until: int
) -> SeedCurves | None:
    """A seed's curves up to a step; None where an episode is missing."""
    worlds = [_returns(cells, facts, world) for world in (facts.shift, _HOME)]
    faced = {tuple(sorted(returns)) for world in worlds for returns in world}
    if len(faced) != 1 or () in faced or len(facts.steps) < 2:
        return None
    seeds = faced.pop()
    steps = [float(step) for step in (*(s for s in facts.steps if s < until), until)]
    read = [_read(steps, facts.steps, world, seeds) for world in worlds]
    if twin is not None:
        scratch = _returns(cells, twin, twin.shift)
        if all(tuple(sorted(returns)) == seeds for returns in scratch):
            read.append(_read(steps, twin.steps, scratch, seeds))
    scores_kwp = scale.score(np.stack(read, axis=1))
    return SeedCurves(facts.training_seed, facts, seeds, steps, scores_kwp)


def _returns(cells: Cells, facts: Facts, world: str) -> list[Mapping[int, float]]:
    """Returns of each snapshot in a world, by evaluation seed."""
    name = SnapshotName(facts.contestant, facts.kind, facts.shift, facts.delta, 0)
    names = [dataclasses.replace(name, step=step) for step in facts.steps]
    return [cells.get((one, facts.training_seed, world), {}) for one in names]


def _read(
    steps: Sequence[float],
    own: Sequence[int],
    returns: Sequence[Mapping[int, float]],
    seeds: Sequence[int],
) -> FloatArray:
    """Returns at some steps [k, p], between the snapshots where there is none."""
    return np.array([np.interp(steps, own, [at[seed] for at in returns]) for seed in seeds])

"""What a continued training consists of, decided before anything slow is imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab import seeding, shifts
from rl_lab.adaptations import CONTINUED, SCRATCH
from rl_lab.agent import Training
from rl_lab.environments import Anchors, EnvironmentRecipe
from rl_lab.shifts import Context
from rl_lab.training.plan import CheckpointSettings


@dataclasses.dataclass(frozen=True)
class AdaptationPlan:
    """One training in a shifted world: a run that goes on, or its twin from scratch.

    Attributes:
        folder: Where it lives; never inside the run.
        kind: CONTINUED or SCRATCH.
        source: The run that is unfrozen; of a twin, the run whose recipe it repeats.
        source_step: The run's last step.
        source_digest: The SHA-256 of the run's final state; None where the run does not say.
        environment: The run's environment.
        context: The world to learn in.
        anchors: The environment's scale, or None.
        imports: Packages that register environments.
        agent: The agent's short name.
        settings: Where its hyperparameters come from.
        training: The run's preprocessing and number of environments.
        seed: The run's seed.
        recipe_hash: Names the run's recipe.
        steps: The budget in environment steps.
        snapshots: Frozen policies that are left, besides the one at step 0.
        keep_replay: Whether the replay buffer is carried over, where there is one.
        config_text: What was asked for, as YAML text.
        tensorboard: Whether to write TensorBoard events.
        threads: Threads of torch.
        checkpoint: How the state is saved on the way.
        answer_within_s: How long one step of an environment may take; 0 is for ever.
    """

    folder: Path
    kind: str
    source: Path
    source_step: int
    source_digest: str | None
    environment: EnvironmentRecipe
    context: Context
    anchors: Anchors | None
    imports: tuple[str, ...]
    agent: str
    settings: str
    training: Training
    seed: int
    recipe_hash: str
    steps: int
    snapshots: int
    keep_replay: bool
    config_text: str
    tensorboard: bool
    threads: int
    checkpoint: CheckpointSettings
    answer_within_s: float

    @property
    def identity(self) -> Mapping[str, Any]:
        """What its checkpoints must say."""
        return {
            "recipe_hash": self.recipe_hash,
            "seed": self.seed,
            "kind": self.kind,
            "source_digest": self.source_digest if self.kind == CONTINUED else None,
        }

    @property
    def start(self) -> int:
        """Environment steps learned before the shifted world."""
        return self.source_step if self.kind == CONTINUED else 0

    @property
    def marks(self) -> list[int]:
        """Steps in the shifted world after which a snapshot is due, without 0."""
        return [round(self.steps * (i + 1) / self.snapshots) for i in range(self.snapshots)]

    @property
    def environment_seed(self) -> int:
        """The first seed of the environments; a twin starts as its run did."""
        first = seeding.training_seed(self.seed)
        return first if self.kind == SCRATCH else first + seeding.SEEDS_PER_RUN // 2

    def make_env(self) -> Any:
        """One fresh environment of the shifted world."""
        return shifts.make(self.environment, self.context, imports=self.imports)

    def renewal_seed(self, index: int) -> int:
        """The first seed of environments that begin anew in the middle."""
        return seeding.renewal_seed(self.seed, index, "adaptation", self.kind)

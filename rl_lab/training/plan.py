"""What a run consists of, decided before anything slow is imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from rl_lab import seeding, shifts
from rl_lab.agent import Training
from rl_lab.drift.reference import Settings
from rl_lab.environments import Anchors, EnvironmentRecipe
from rl_lab.shifts import World
from rl_lab.training.callbacks import Callback


@dataclasses.dataclass(frozen=True)
class CheckpointSettings:
    """When a run's state is saved, and which of these checkpoints stay. None of it moves a result.

    Attributes:
        every_steps: Environment steps between two checkpoints.
        every_s: Also after so much wall time, in seconds; 0: never.
        keep_last: So many of the newest stay.
        keep_best: Also the one with the best mean return on the selection seeds.
        keep_every_steps: Also one after every so many steps; 0: none.
        keep_replay_buffer: Whether the final checkpoint has the replay buffer.
    """

    every_steps: int
    every_s: float
    keep_last: int
    keep_best: bool
    keep_every_steps: int
    keep_replay_buffer: bool


class Work(Protocol):
    """What a training is to those who begin it, save it and let it go on."""

    @property
    def folder(self) -> Path:
        """Where it lives."""

    @property
    def environment(self) -> EnvironmentRecipe:
        """What is learned in."""

    @property
    def anchors(self) -> Anchors | None:
        """The environment's scale."""

    @property
    def agent(self) -> str:
        """The agent's short name."""

    @property
    def settings(self) -> str:
        """Where its hyperparameters come from."""

    @property
    def training(self) -> Training:
        """Preprocessing, and how environments are stepped."""

    @property
    def steps(self) -> int:
        """The budget in environment steps; all of its steps count from its own beginning."""

    @property
    def seed(self) -> int:
        """The training seed."""

    @property
    def recipe_hash(self) -> str:
        """Names the recipe."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What its checkpoints must say; those of other trainings are not taken."""

    @property
    def checkpoint(self) -> CheckpointSettings:
        """How its state is saved."""

    @property
    def threads(self) -> int:
        """Threads of torch."""

    @property
    def tensorboard(self) -> bool:
        """Whether to write TensorBoard events."""

    @property
    def answer_within_s(self) -> float:
        """How long one step of an environment may take; 0 is for ever."""

    def make_env(self) -> Any:
        """One fresh environment."""

    def renewal_seed(self, index: int) -> int:
        """The first seed of environments that begin anew in the middle, for the `index`-th time."""


@dataclasses.dataclass(frozen=True)
class RunPlan:
    """Everything that a run is.

    Attributes:
        folder: Where it lives.
        environment: The environment's recipe.
        world: The context trained in, or what each episode's own is drawn from.
        anchors: The environment's scale, or None.
        imports: Packages that register environments.
        agent: The agent's short name.
        settings: Where its hyperparameters come from.
        training: Budget and preprocessing.
        selection_step_limit: Of a selection episode in an environment without a limit of its own.
        seed: The training seed.
        recipe_hash: Names the recipe.
        config: The resolved configuration as plain data.
        config_text: The same as YAML text.
        tensorboard: Whether to write TensorBoard events.
        threads: Threads of torch.
        command: What trains it again.
        snapshots: Whether to keep the frozen policy of every selection.
        callbacks: Who may end the training early, by name.
        monitoring: Statistics of its own world that each final policy gets.
        checkpoint: How the state is saved.
        answer_within_s: How long one step of an environment may take; 0 is for ever.
    """

    folder: Path
    environment: EnvironmentRecipe
    world: World
    anchors: Anchors | None
    imports: tuple[str, ...]
    agent: str
    settings: str
    training: Training
    selection_step_limit: int
    seed: int
    recipe_hash: str
    config: Mapping[str, Any]
    config_text: str
    tensorboard: bool
    threads: int
    snapshots: bool
    command: str
    callbacks: Mapping[str, Callback]
    monitoring: Settings
    checkpoint: CheckpointSettings
    answer_within_s: float

    @property
    def steps(self) -> int:
        """The budget in environment steps."""
        return self.training.steps

    @property
    def identity(self) -> Mapping[str, Any]:
        """What its checkpoints must say."""
        return {"recipe_hash": self.recipe_hash, "seed": self.seed}

    def make_env(self) -> Any:
        """One fresh environment of the recipe, in the world of the training."""
        return shifts.make_world(self.environment, self.world, imports=self.imports)

    def renewal_seed(self, index: int) -> int:
        """The first seed of environments that begin anew in the middle."""
        return seeding.renewal_seed(self.seed, index)

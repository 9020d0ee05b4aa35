"""What a run consists of, decided before anything slow is imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab.agent import Training
from rl_lab.drift.reference import Settings
from rl_lab.environments import Anchors, EnvironmentRecipe, make
from rl_lab.training.callbacks import Callback


@dataclasses.dataclass(frozen=True)
class RunPlan:
    """Everything that a run is.

    Attributes:
        folder: Where it lives.
        environment: The environment's recipe.
        anchors: The environment's scale, or None.
        imports: Packages that register environments.
        agent: The agent's short name.
        settings: Where its hyperparameters come from.
        training: Budget and preprocessing.
        seed: The training seed.
        recipe_hash: Names the recipe.
        config: The resolved configuration as plain data.
        config_text: The same as YAML text.
        tensorboard: Whether to write TensorBoard events.
        threads: Threads of torch.
        snapshots: Whether to keep the frozen policy of every selection.
        callbacks: Who may end the training early, by name.
        monitoring: Statistics of its own world that each final policy gets.
    """

    folder: Path
    environment: EnvironmentRecipe
    anchors: Anchors | None
    imports: tuple[str, ...]
    agent: str
    settings: str
    training: Training
    seed: int
    recipe_hash: str
    config: Mapping[str, Any]
    config_text: str
    tensorboard: bool
    threads: int
    snapshots: bool
    callbacks: Mapping[str, Callback]
    monitoring: Settings

    def make_env(self) -> Any:
        """One fresh environment of the recipe."""
        return make(self.environment, imports=self.imports)

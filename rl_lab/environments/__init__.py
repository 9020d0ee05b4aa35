"""Environment recipes: the one source of environments for training, evaluation and replay."""

from rl_lab.environments.checking import (
    Answering,
    CheckedEnv,
    observation_fault,
    require_supported,
    space_data,
)
from rl_lab.environments.making import applied, make, register, require_known
from rl_lab.environments.recipe import Anchors, EnvironmentRecipe

__all__ = [
    "Anchors",
    "Answering",
    "CheckedEnv",
    "EnvironmentRecipe",
    "applied",
    "make",
    "observation_fault",
    "register",
    "require_known",
    "require_supported",
    "space_data",
]

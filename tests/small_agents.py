"""Agents of every algorithm in small environments, built in one call."""

from __future__ import annotations

from typing import Any

import fakes  # noqa: F401  registers environments
import pytest
from rl_lab_agents import sb3

from rl_lab import environments
from rl_lab.agent import Training
from rl_lab.environments import EnvironmentRecipe
from rl_lab.states import strategies

CORE, CONTRIB, FAST = "stable_baselines3.", "sb3_contrib.", "rl_lab_agents.fast."
WRAPPERS: dict[str, Any] = {"Taxi-v4": ({"name": "rl_lab.wrappers.MasksOfInfo"},)}


def plain_training(**changes: Any) -> Training:
    """One environment in this process, and nothing done to what it shows."""
    plain: dict[str, Any] = {
        "steps": 0,
        "n_envs": 1,
        "normalize_observation": False,
        "normalize_reward": False,
        "frame_stack": 1,
        "selection_every_steps": 0,
        "selection_episodes": 1,
        "seconds": None,
        "log_every_steps": None,
        "log_episodes": False,
        "vectorization": "sync",
        "wrappers": (),
        "warm_start": None,
        "warm_start_replay": True,
        "device": "cpu",
        "parallel_updates": False,
        "log_info": (),
    }
    return Training(**{**plain, **changes})


def policy_of(algorithm: str, settings: Any) -> str:
    if "her" in settings.get("replay_buffer", ()):
        return "MultiInputPolicy"
    return "MlpLstmPolicy" if "Recurrent" in algorithm else "MlpPolicy"


def agent_of(
    case: Any,
    seed: int = 0,
    strategy: str = strategies.SNAPSHOT,
    recipe: EnvironmentRecipe | None = None,
) -> sb3.Sb3Agent:
    algorithm, environment, settings, preparation, n_envs = case
    if algorithm.startswith(FAST):
        pytest.importorskip("numba", reason="needs the extra 'fast'")
    training = plain_training(n_envs=n_envs, **preparation)
    recipe = recipe or EnvironmentRecipe(environment, {}, WRAPPERS.get(environment, ()), 25)
    policy = policy_of(algorithm, settings)
    return sb3.make(
        strategies.prepared(lambda: environments.make(recipe), strategy),
        training,
        seed,
        algorithm=algorithm,
        policy=policy,
        **settings,
    )

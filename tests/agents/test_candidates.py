"""Candidates of a random search that play side by side get what each would get alone."""

from __future__ import annotations

from typing import Any

import fakes  # noqa: F401  registers environments
import gymnasium
import numpy as np
import pytest
import torch
from rl_lab_agents import sb3
from sb3_contrib import ARS
from small_agents import agent_of, plain_training
from stable_baselines3.common.callbacks import BaseCallback

PAIRS = {"CartPole-v1": "LinearPolicy", "Pendulum-v1": "MlpPolicy", "FrozenLake-v1": "MlpPolicy"}


class Same(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Every episode begins alike, so a return depends on the policy alone."""

    def reset(self, **keywords: Any) -> Any:
        return self.env.reset(seed=3)


class Told(BaseCallback):
    """Keeps what a callback is told."""

    def __init__(self) -> None:
        super().__init__()
        self.episodes: list[float] = []
        self.calls = 0

    def _on_step(self) -> bool:
        self.calls += 1
        ended = [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        self.episodes += ended
        return True


def agent(environment: str, count: int, way: str = "sync", **settings: Any) -> Any:
    training = plain_training(n_envs=count, vectorization=way)

    def make_env() -> Any:
        limit = gymnasium.make(environment, max_episode_steps=30, disable_env_checker=True)
        return Same(limit)

    found = sb3.make(
        make_env, training, 0, algorithm="sb3_contrib.ARS", policy=PAIRS[environment], **settings
    )
    found._model.set_random_seed(5)
    return found


def evaluated(agent: Any, candidates: torch.Tensor) -> tuple[list[float], Told]:
    told = Told()
    agent._model._setup_learn(1, told)
    told.init_callback(agent._model)
    with torch.no_grad():
        returns = agent._model.evaluate_candidates(candidates, told, None)
    return returns.tolist(), told


@pytest.mark.parametrize("environment", PAIRS)
@pytest.mark.parametrize("episodes", [1, 2])
def test_each_candidate_gets_its_own_return(environment: str, episodes: int) -> None:
    settings = {"n_delta": 3, "n_eval_episodes": episodes, "alive_bonus_offset": -0.5}
    alone = agent(environment, 1, **settings)
    generator = torch.Generator().manual_seed(0)
    candidates = torch.randn(6, alone._model.n_params, generator=generator)
    expected, _ = evaluated(alone, candidates)
    assert len(set(expected)) > 1
    for count in (2, 4, 8):
        side_by_side = agent(environment, count, **settings)
        found, told = evaluated(side_by_side, candidates)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert len(side_by_side._model.ep_info_buffer) == 6 * episodes
        assert side_by_side._model.num_timesteps == told.calls * count


def test_no_environment_waits_while_a_candidate_does() -> None:
    # 6 candidates of 30 steps each in 2 environments: 3 rounds, where the library takes 6.
    candidates = torch.zeros(6, 3)
    found = agent("Pendulum-v1", 2, n_delta=3, policy_kwargs={"net_arch": [], "with_bias": False})
    _, told = evaluated(found, candidates)
    assert told.calls == 90
    library = ARS.evaluate_candidates(found._model, candidates, told, None)
    assert told.calls == 90 + 180
    assert len(library) == 6


def test_callbacks_see_the_episodes_of_one_environment_too() -> None:
    alone = agent("CartPole-v1", 1, n_delta=2)
    _, told = evaluated(alone, torch.zeros(4, alone._model.n_params))
    assert len(told.episodes) == 4


def test_processes_change_nothing() -> None:
    results = []
    for way in ("sync", "subprocess"):
        training = {"vectorization": way, "normalize_observation": True}
        case = ("sb3_contrib.ARS", "CartPole-v1", {"n_delta": 4}, training, 3)
        found = agent_of(case)
        try:
            found.learn(400, _Quiet())
            results.append(found._model.weights.tolist())
        finally:
            found.close()
    assert results[0] == results[1]


class _Quiet:
    def metrics(self, step: int, values: Any) -> None:
        pass

    def boundary(self, step: int) -> bool:
        return True

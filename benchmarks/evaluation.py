"""Steps per second: our evaluation loop, stable-baselines3's, and the bare environment.

One thread, one process, the same policy, interleaved rounds; medians and ratios are printed.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
warnings.filterwarnings("ignore")

import gymnasium
import numpy as np
import torch
from rl_lab_agents import sb3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from rl_lab import episodes, freezing, frozen_policy
from rl_lab.agent import Training
from rl_lab.environments import EnvironmentRecipe
from rl_lab.evaluation import plan, workers, working

ROUNDS = 5
STEPS = 4_000
CASES: tuple[tuple[str, str, dict[str, int]], ...] = (
    ("CartPole-v1", "stable_baselines3.PPO", {}),
    ("LunarLander-v3", "stable_baselines3.PPO", {}),
    ("HalfCheetah-v5", "stable_baselines3.SAC", {"buffer_size": 1000}),
)


def rate(run: Callable[[int], int]) -> float:
    """Steps per second of `run(seed) -> steps`, over at least STEPS steps."""
    steps, seed, start = 0, 0, time.perf_counter()
    while steps < STEPS:
        steps += run(seed)
        seed += 1
    return steps / (time.perf_counter() - start)


def facts(environment: str) -> dict[str, Any]:
    """What a card needs besides the policy."""
    return {
        "agent": "x",
        "training_seed": 0,
        "steps": 0,
        "recipe_hash": "",
        "environment": EnvironmentRecipe(environment, {}, (), None).to_data(),
        "anchors": None,
        "provenance": {},
    }


def case(environment: str, algorithm: str, settings: dict[str, int]) -> None:
    """Measure one environment and print its line."""
    training = Training(
        1, 1, False, False, 1, 0, 1, None, None, False, "sync", (), None, True, "cpu", False, ()
    )
    agent = sb3.make(
        lambda: gymnasium.make(environment),
        training,
        0,
        algorithm=algorithm,
        policy="MlpPolicy",
        **settings,
    )
    policy = freezing.freeze(agent.policy(), facts(environment))
    env, bare, vec = episodes.make_for(policy), episodes.make_for(policy), make_vec_env(environment)
    actions = [bare.action_space.sample() for _ in range(1000)]

    def ours(seed: int) -> int:
        return episodes.run_episode(env, policy, seed, 1000).length

    def theirs(seed: int) -> int:
        _, lengths = evaluate_policy(agent._model, vec, 1, return_episode_rewards=True)
        return int(np.sum(lengths))

    def alone(seed: int) -> int:
        bare.reset(seed=seed)
        for step in range(1000):
            _, _, terminated, truncated, _ = bare.step(actions[step])
            if terminated or truncated:
                break
        return step + 1

    rates: dict[str, list[float]] = {name: [] for name in ("ours", "evaluate_policy", "bare")}
    for _ in range(ROUNDS):
        for name, run in (("ours", ours), ("evaluate_policy", theirs), ("bare", alone)):
            rates[name].append(rate(run))
    ours_s, theirs_s, bare_s = (statistics.median(r) for r in rates.values())
    print(
        f"{environment:<16} ours {ours_s:8.0f}/s   evaluate_policy {theirs_s:8.0f}/s   "
        f"bare {bare_s:8.0f}/s   ratio {ours_s / theirs_s:5.1f}   share {ours_s / bare_s:4.0%}"
    )


def whole_evaluation(tasks: Sequence[plan.Task], engine: working.Engine, count: int) -> float:
    """Steps per second of `count` worker processes, from the first finished episode on."""
    seen: list[tuple[float, int]] = []
    workers.run_tasks(tasks, engine, count, lambda r: seen.append((time.perf_counter(), r.length)))
    return sum(length for _, length in seen[1:]) / (seen[-1][0] - seen[0][0])


def scaling(folder: Path) -> None:
    """Print the steps per second of whole evaluations on one and on two worker processes."""
    environment = "LunarLander-v3"
    agent = sb3.make(
        lambda: gymnasium.make(environment),
        Training(
            1, 1, False, False, 1, 0, 1, None, None, False, "sync", (), None, True, "cpu", False, ()
        ),
        0,
        algorithm="stable_baselines3.PPO",
        policy="MlpPolicy",
    )
    policy = freezing.freeze(agent.policy(), facts(environment))
    frozen_policy.save(policy, folder)
    entrant = plan.Entrant("ppo", 0, folder, policy.card, None)
    tasks = plan.tasks([entrant], range(2_000))
    engine = working.Engine(
        reuse=True, step_limit=1000, step_timeout_s=60.0, imports=(), live=working.live
    )
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(3):
        for count, found in rates.items():
            found.append(whole_evaluation(tasks, engine, count))
    one, two = (statistics.median(found) for found in rates.values())
    print(
        f"{environment:<16} 1 worker {one:8.0f}/s   2 workers {two:8.0f}/s   ratio {two / one:.2f}"
    )


def main() -> None:
    """Measure every case."""
    torch.set_num_threads(1)
    for environment, algorithm, settings in CASES:
        case(environment, algorithm, settings)
    with tempfile.TemporaryDirectory() as folder:
        scaling(Path(folder) / "policy")


if __name__ == "__main__":
    main()

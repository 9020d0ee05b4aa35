"""Training speed: our fast agents, stable-baselines3 and SBX side by side, each in its own process.

`benchmarks/training.py [CASE ...]`: interleaved rounds, medians, ratios; one thread. Steps per
second are per second of processor time, which a busy machine moves least, and are counted from the
second update on, so that compilation is left out; the time to the first update is wall clock, with
a filled cache for numba (which keeps compiled code on disk) and an empty one for JAX (which does
not). SBX needs the extra `bench`.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import importlib
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

ROUNDS = 3


def _linear(start: float) -> dict[str, Any]:
    return {"schedule": "linear", "start": start, "end": 0.0}


CARTPOLE = {
    "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20,
    "learning_rate": _linear(1e-3), "clip_range": _linear(0.2),
}  # fmt: skip
LANDER = {
    "n_steps": 1024, "batch_size": 64, "gae_lambda": 0.98, "gamma": 0.999, "n_epochs": 4,
    "ent_coef": 0.01,
}  # fmt: skip
DQN = {
    "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "learning_starts": 1000,
    "target_update_interval": 10, "train_freq": 256, "gradient_steps": 128,
    "exploration_fraction": 0.16, "exploration_final_eps": 0.04,
    "policy_kwargs": {"net_arch": [256, 256]},
}  # fmt: skip
# Case: environment, environments, algorithm, settings, seconds' worth of steps for ours and theirs.
CASES: dict[str, tuple[str, int, str, dict[str, Any], dict[str, int]]] = {
    "ppo_cartpole": ("CartPole-v1", 8, "PPO", CARTPOLE, {"fast": 100_000, "other": 15_000}),
    "ppo_default": ("CartPole-v1", 1, "PPO", {}, {"fast": 80_000, "other": 8_192}),
    "ppo_lander": ("LunarLander-v3", 16, "PPO", LANDER, {"fast": 81_920, "other": 65_536}),
    "a2c_cartpole": ("CartPole-v1", 8, "A2C", {}, {"fast": 200_000, "other": 20_000}),
    "dqn_cartpole": ("CartPole-v1", 1, "DQN", DQN, {"fast": 10_240, "other": 4_096}),
    "sac_pendulum": ("Pendulum-v1", 1, "SAC", {"learning_rate": 1e-3}, {"fast": 700, "other": 500}),
    "td3_pendulum": ("Pendulum-v1", 1, "TD3", {}, {"fast": 700, "other": 500}),
}
CONTESTANTS = ("fast", "standard", "stable_baselines3", "sbx")


class Clock:
    """Notes when updates begin; the first two bound what compilation took."""

    def __init__(self) -> None:
        self.marks: list[tuple[int, float, float]] = []

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing is kept of metrics."""

    def boundary(self, step: int) -> bool:
        """Note the time."""
        self.marks.append((step, time.process_time(), time.perf_counter()))
        return True


def ours(case: str, kind: str) -> tuple[Any, Any]:
    """One of the lab's agents and what makes it learn."""
    from rl_lab_agents import sb3

    from rl_lab.agent import Training
    from rl_lab.environments import EnvironmentRecipe, make

    environment, count, algorithm, settings, _ = CASES[case]
    paths = {
        "fast": f"rl_lab_agents.fast.{algorithm.lower()}.Fast{algorithm}",
        "standard": f"rl_lab_agents.standard.{algorithm}",
    }
    agent = sb3.make(
        lambda: make(EnvironmentRecipe(environment, {}, (), None)),
        Training(
            0,
            count,
            False,
            False,
            1,
            0,
            0,
            None,
            None,
            False,
            "sync",
            (),
            None,
            True,
            "cpu",
            False,
            (),
        ),
        0,
        algorithm=paths[kind],
        policy="MlpPolicy",
        **settings,
    )
    return agent, agent.learn


def theirs(case: str, package: str) -> tuple[Any, Any]:
    """A library's own agent in its own vectorised environment."""
    from rl_lab_agents import learning
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.logger import Logger

    environment, count, algorithm, settings, _ = CASES[case]
    kind = getattr(importlib.import_module(package), algorithm)
    env = make_vec_env(environment, count, seed=0)
    keywords = {
        key: (lambda p, s=value["start"]: s * p) if isinstance(value, dict) and "start" in value
        else tuple(value) if isinstance(value, list) else value
        for key, value in settings.items()
    }  # fmt: skip
    model = kind("MlpPolicy", env, seed=0, device="cpu", **keywords)
    model.set_logger(Logger(None, []))

    def learn(steps: int, clock: Clock) -> None:
        learning.learn(model, steps, lambda: None, clock.boundary, [], {})

    return model, learn


def measure(case: str, contestant: str) -> dict[str, float]:
    """Steps per second after the second boundary past warm-up, and the peak of memory."""
    import torch

    torch.set_num_threads(1)
    begun = time.perf_counter()
    steps = CASES[case][4]["fast" if contestant == "fast" else "other"]
    if contestant in ("fast", "standard"):
        _, learn = ours(case, contestant)
    else:
        _, learn = theirs(case, contestant)
    clock = Clock()
    learn(steps, clock)
    starts = CASES[case][3].get("learning_starts", 100)
    is_off_policy = CASES[case][2] in ("DQN", "SAC", "TD3")
    warm = starts + 100 if is_off_policy else 1
    # The boundary after the first update that counts: everything is compiled by then.
    first = next(i for i, mark in enumerate(clock.marks) if mark[0] >= warm) + 1
    (step, start, wall), (last, end, _) = clock.marks[first], clock.marks[-1]
    from rl_lab import provenance

    return {
        "rate": (last - step) / (end - start),
        "start_s": wall - begun,
        "memory": provenance.peak_memory_bytes() or float("nan"),
    }


def bare(environment: str) -> float:
    """Steps per second of one environment under random actions, resets included."""
    env = gymnasium.make(environment, disable_env_checker=True)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(1000)]
    env.reset(seed=0)
    steps, start = 0, time.process_time()
    while time.process_time() - start < 1.0:
        env.reset()
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            steps += 1
            if terminated or truncated:
                break
    return steps / (time.process_time() - start)


def matrix_rate() -> float:
    """Floating-point operations per second of 256 x 256 products, the best of several tries."""
    x = np.ones((256, 256), np.float32)
    times = []
    for _ in range(20):
        start = time.process_time()
        for _ in range(20):
            x @ x
        times.append((time.process_time() - start) / 20)
    return 2 * 256**3 / min(times)


def _apart(case: str, contestant: str) -> dict[str, float] | None:
    """A measurement in a fresh process; None where the contestant cannot be had."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", case, contestant], capture_output=True, text=True
    )
    if done.returncode:
        print(f"  {contestant}: {done.stderr.strip().splitlines()[-1]}")
        return None
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def report(case: str) -> None:
    """Measure a case and print its line."""
    environment, _, algorithm, _, _ = CASES[case]
    lacks = {"standard": ("DQN", "SAC", "TD3"), "sbx": ("A2C",)}
    wanted = [c for c in CONTESTANTS if algorithm not in lacks.get(c, ())]
    found: dict[str, list[dict[str, float]]] = {c: [] for c in wanted}
    bares = []
    for _ in range(ROUNDS):
        bares.append(bare(environment))
        for contestant in wanted:
            result = _apart(case, contestant)
            found[contestant] += [result] if result else []
    middle = {
        c: {k: statistics.median(r[k] for r in runs) for k in runs[0]}
        for c, runs in found.items()
        if runs
    }
    for c, m in middle.items():
        print(
            f"{case:<14} {c:<18} {m['rate']:9.0f} steps/s   "
            f"first update after {m['start_s']:5.1f} s   {m['memory'] / 2**20:5.0f} MiB"
        )
    fast, base = middle["fast"], middle["stable_baselines3"]
    ratios = [f"{fast['rate'] / base['rate']:.1f} x stable_baselines3"]
    if "sbx" in middle:
        ratios.append(f"{fast['rate'] / middle['sbx']['rate']:.1f} x sbx")
    ratios.append(f"{fast['rate'] / statistics.median(bares):.0%} of the bare environment")
    ratios.append(f"{fast['memory'] / base['memory']:.2f} x memory")
    if "standard" in middle:
        gain = middle["standard"]["rate"] / base["rate"]
        ratios.append(f"standard path {gain:.2f} x stable_baselines3")
    print(f"{case:<14} fast: {', '.join(ratios)}", flush=True)
    if algorithm == "SAC":
        # Products of 256 x 256 matrices in one gradient step, 15 times the weights of one layer.
        used = fast["rate"] * 15 * 2 * 256**3
        print(f"{case:<14} matrix products: {used / matrix_rate():.0%} of this machine's rate")


def main() -> None:
    """Measure the cases named, or all."""
    warnings.filterwarnings("ignore")
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(*sys.argv[2:4])))
        return
    for case in sys.argv[1:] or CASES:
        report(case)


if __name__ == "__main__":
    main()

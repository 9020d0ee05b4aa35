"""Microseconds of one decision, side by side in one run on one thread; ratios are what counts.

Rows: stable-baselines3's `predict`, torch's forward pass, bare onnxruntime (`run` and
`run_with_iobinding`) on the same file, NumPy by hand, and ours. Nothing is asserted.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import onnxruntime
import torch
from rl_lab_agents import sb3

from rl_lab import freezing, frozen_policy
from rl_lab.agent import Training
from rl_lab.frozen_policy import FrozenPolicy

ROUNDS = 7
CALLS = 2_000
BATCH = 1_024
FACTS: dict[str, Any] = {
    "agent": "x",
    "training_seed": 0,
    "steps": 0,
    "recipe_hash": "",
    "environment": {"id": "x", "kwargs": {}, "wrappers": [], "max_episode_steps": None},
    "anchors": None,
    "provenance": {},
}


class Spaces(gymnasium.Env):
    """Nothing but spaces."""

    def __init__(self, observation: Any, action: Any) -> None:
        self.observation_space, self.action_space = observation, action

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """Start."""
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        """Go on."""
        return self.observation_space.sample(), 0.0, False, False, {}


def box(*shape: int) -> gymnasium.spaces.Box:
    """An unbounded vector space."""
    return gymnasium.spaces.Box(-np.inf, np.inf, shape, np.float32)


CASES: dict[str, tuple[str, str, Any, Any, dict[str, Any]]] = {
    "64x64, PPO": (
        "stable_baselines3.PPO",
        "MlpPolicy",
        box(4),
        gymnasium.spaces.Discrete(2),
        {},
    ),
    "256x256, SAC": (
        "stable_baselines3.SAC",
        "MlpPolicy",
        box(17),
        gymnasium.spaces.Box(-1.0, 1.0, (6,), np.float32),
        {"buffer_size": 10},
    ),
    "NatureCNN, DQN": (
        "stable_baselines3.DQN",
        "CnnPolicy",
        gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8),
        gymnasium.spaces.Discrete(6),
        {"buffer_size": 10},
    ),
}


def make(name: str) -> tuple[sb3.Sb3Agent, FrozenPolicy]:
    """An untrained agent and its frozen policy."""
    algorithm, policy, observation, action, settings = CASES[name]
    training = Training(
        1, 1, False, False, 1, 0, 1, None, None, False, "sync", (), None, True, "cpu", False, ()
    )
    agent = sb3.make(
        lambda: Spaces(observation, action),
        training,
        0,
        algorithm=algorithm,
        policy=policy,
        **settings,
    )
    return agent, freezing.freeze(agent.policy(), FACTS)


def interleaved(functions: dict[str, Callable[[], Any]], calls: int) -> dict[str, float]:
    """Median microseconds per call of each function, blocks taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        for _ in range(max(10, calls // 10)):
            function()
    for _ in range(ROUNDS):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(calls):
                function()
            times[name].append((time.perf_counter() - start) / calls * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def single(agent: sb3.Sb3Agent, policy: FrozenPolicy) -> dict[str, Callable[[], Any]]:
    """The rows for one decision."""
    observation = policy.observation_space.sample()
    tensor = torch.as_tensor(observation[None])
    session = policy._session
    feeds = {"observation": observation[None]}
    binding = session.io_binding()
    binding.bind_cpu_input("observation", observation[None])
    binding.bind_output("action")
    raw, bound = session._sess, binding._iobinding

    def forward() -> Any:
        with torch.no_grad():
            return agent._model.policy._predict(tensor, deterministic=True)

    rows: dict[str, Callable[[], Any]] = {
        "stable-baselines3 predict": lambda: agent._model.predict(observation, deterministic=True),
        "torch forward": forward,
        "onnxruntime run": lambda: session.run(None, feeds),
        "onnxruntime run_with_iobinding": lambda: raw.run_with_iobinding(bound, None),
    }
    if by_hand := numpy_policy(agent, observation):
        rows["NumPy by hand"] = by_hand
    rows["rl-lab act"] = lambda: policy.act(observation)
    return rows


def numpy_policy(agent: sb3.Sb3Agent, observation: np.ndarray) -> Callable[[], Any] | None:
    """The PPO network written out in NumPy; None for other networks."""
    layers = getattr(getattr(agent._model.policy, "mlp_extractor", None), "policy_net", None)
    if layers is None:
        return None
    linear = [m for m in (*layers, agent._model.policy.action_net) if hasattr(m, "weight")]
    weights = [(m.weight.detach().numpy().T.copy(), m.bias.detach().numpy()) for m in linear]

    def act() -> Any:
        x = observation
        for weight, bias in weights[:-1]:
            x = np.tanh(x @ weight + bias)
        return (x @ weights[-1][0] + weights[-1][1]).argmax()

    return act


def decisions() -> None:
    """Print the table of single decisions, and of batches for the vector policies."""
    for name in CASES:
        agent, policy = make(name)
        found = interleaved(single(agent, policy), CALLS // 10 if "CNN" in name else CALLS)
        ours = found["rl-lab act"]
        print(f"\n{name}: one decision")
        for row, microseconds in found.items():
            print(f"  {row:<32} {microseconds:9.2f} us   {microseconds / ours:6.2f} x ours")
        if "CNN" not in name:
            batches(agent, policy)


def batches(agent: sb3.Sb3Agent, policy: FrozenPolicy) -> None:
    """Print actions per second at a batch of 1,024."""
    batch = np.stack([policy.observation_space.sample() for _ in range(BATCH)])
    found = interleaved(
        {
            "stable-baselines3 predict": lambda: agent._model.predict(batch, deterministic=True),
            "rl-lab act_batch": lambda: policy.act_batch(batch),
        },
        50,
    )
    for row, microseconds in found.items():
        print(f"  {row:<32} {BATCH / microseconds * 1e6:12,.0f} actions/s at batch {BATCH}")


def first_action() -> None:
    """Print process start to first action, memory, and the time that freezing takes."""
    agent, policy = make("64x64, PPO")
    traced = agent.policy()
    start = time.perf_counter()
    freezing.freeze(traced, FACTS)
    print(f"\nfreezing a 64x64 policy: {time.perf_counter() - start:.3f} s")
    code = (
        "import sys, rl_lab, numpy\n"
        "policy = rl_lab.load_policy(sys.argv[1])\n"
        "policy.act(numpy.zeros(4, 'float32'))\n"
        "assert 'torch' not in sys.modules\n"
        "status = open('/proc/self/status').read()\n"
        "print(status.split('VmHWM:')[1].split()[0])\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        frozen_policy.save(policy, Path(folder) / "policy")
        times, memory = [], 0.0
        for _ in range(ROUNDS):
            start = time.perf_counter()
            command = [sys.executable, "-c", code, str(Path(folder) / "policy")]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            times.append(time.perf_counter() - start)
            memory = int(done.stdout) / 1024
    print(f"process start to first action: {statistics.median(times):.3f} s, {memory:.0f} MiB")


def main() -> None:
    """Print all tables."""
    torch.set_num_threads(1)
    print(f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, one thread")
    decisions()
    first_action()


if __name__ == "__main__":
    main()

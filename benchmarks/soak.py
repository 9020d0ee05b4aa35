"""Kill trainings at random instants, again and again, and compare what comes out in the end.

Each trial trains a small run in a process that gets SIGKILL at a random instant, gives the same
command again until it is through, and compares the run with one that was never interrupted: the
final state (weights, optimiser, replay buffer, normaliser, random streams, environments), the
metrics without their wall-clock columns, the TensorBoard curves and both frozen policies.

    python benchmarks/soak.py [kills]      100 by default; prints `100/100 identical`
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from identical import attempt, require_identical, run_in

_OFF = ["agent.learning_starts=50", "agent.batch_size=16", "agent.buffer_size=300"]
_SMALL = [
    "tuned=none",
    "monitoring=none",
    "agent.policy_kwargs.net_arch=[16]",
    "training.selection_episodes=1",
]
_EVERY = ["checkpoint.every_steps=40", "training.selection_every_steps=100"]
# One for each way of keeping an environment's state, with all that a state can have in it.
RUNS = {
    "ppo, normalised, snapshot": [
        "agent=ppo env=CartPole-v1 training.steps=320 training.n_envs=2 agent.n_steps=16",
        "agent.batch_size=16 agent.n_epochs=2 training.normalize_observation=true",
        "training.normalize_reward=true",
    ],
    "sac, gSDE, stacked, snapshot": [
        "agent=sac env=Pendulum-v1 training.steps=200 agent.use_sde=true training.frame_stack=2",
        *_OFF,
    ],
    "dqn, replay": ["agent=dqn env=LunarLander-v3 training.steps=300", *_OFF],
    "td3, noise, barrier": ["agent=td3 env=BipedalWalker-v3 training.steps=200", *_OFF],
}


def words_of(name: str, output: Path) -> list[str]:
    """The command of a run."""
    own = " ".join(RUNS[name]).split()
    noise = ["agent.action_noise={kind: ornstein-uhlenbeck, std: 0.2}"] if "noise" in name else []
    return [*own, *noise, *_SMALL, *_EVERY, f"output={output}"]


def trial(name: str, straight: Path, seconds: float, generator: random.Random) -> bool:
    """Kill a run at a random instant, finish it, compare."""
    with tempfile.TemporaryDirectory() as folder:
        words = words_of(name, Path(folder))
        # An attempt that gets through before its kill is no trial; it is made anew.
        while (
            attempt(words, kill_after_s=generator.uniform(0.05, 1.0) * seconds) != -signal.SIGKILL
        ):
            shutil.rmtree(Path(folder) / "train")
        log = Path(folder) / "log.txt"
        if code := attempt(words, log=log):
            print(f"{name}: it ended with {code}\n{log.read_text()}", flush=True)
            return False
        try:
            require_identical(run_in(Path(folder)), straight)
        except AssertionError as difference:
            print(f"{name}: {str(difference)[:300]}")
            return False
    return True


def main(kills: int) -> int:
    """Kill so many trainings."""
    generator = random.Random(0)
    root = Path(tempfile.mkdtemp())
    straight, seconds = {}, {}
    for name in RUNS:
        attempt(words_of(name, root / "warm"))
        start = time.monotonic()
        assert attempt(words_of(name, root / name)) == 0, name
        seconds[name] = time.monotonic() - start
        straight[name] = run_in(root / name)
        shutil.rmtree(root / "warm", ignore_errors=True)
        print(f"{name}: {seconds[name]:.1f} s without an interruption", flush=True)
    identical = 0
    for number in range(kills):
        name = list(RUNS)[number % len(RUNS)]
        identical += trial(name, straight[name], seconds[name], generator)
        if (number + 1) % 20 == 0:
            print(f"{number + 1} kills, {identical} identical", flush=True)
    shutil.rmtree(root)
    print(f"{identical}/{kills} identical")
    return 0 if identical == kills else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))

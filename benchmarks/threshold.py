"""Wall clock to a threshold: fast PPO against stable-baselines3's, imports included.

`benchmarks/threshold.py [ENVIRONMENT ...]`: seconds from the start of `rl-lab train` to the first
of three consecutive frozen evaluations (10 episodes on selection seeds) at or above the return that
counts as solved. Tuned settings, three seeds, interleaved; the ratio is of the medians. What numba
compiled once lies in its cache, as on every machine but the first time.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rl_lab import paths
from rl_lab.cli import config
from rl_lab.tracking import tags

# Steps between two evaluations: whole rollouts, so that both learn and look at the same steps.
CASES = {
    "CartPole-v1": 2_048,
    "Acrobot-v1": 8_192,
    "Pendulum-v1": 4_096,
    "LunarLander-v3": 16_384,
}
CONTESTANTS = {
    "fast": ["agent=fast_ppo"],
    "stable_baselines3": ["agent=ppo", "agent.algorithm=stable_baselines3.PPO"],
}
SEEDS = 3
CONSECUTIVE = 3
_POLL_S = 0.02


def seconds(environment: str, words: list[str], seed: int, solved: float) -> float:
    """Wall time to the first of three evaluations in a row that reach `solved`; infinity: never."""
    with tempfile.TemporaryDirectory() as folder:
        more = [
            f"env={environment}",
            f"seed={seed}",
            f"training.selection_every_steps={CASES[environment]}",
            "training.selection_episodes=10",
            "monitoring=none",
            f"output={folder}",
        ]
        start = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "rl_lab", "train", *words, *more],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        ) as process:
            try:
                return _watch(process, Path(folder), solved, start)
            finally:
                process.kill()


def _watch(process: subprocess.Popen[bytes], folder: Path, solved: float, start: float) -> float:
    """Follow a training's metrics until it is good enough for long enough, or over."""
    first, reached, file, over = math.inf, 0, None, False
    while True:
        if file is None and (found := sorted(folder.rglob(paths.RUN_METRICS))):
            file = found[0].open(encoding="utf-8")
        at = file.tell() if file is not None else 0
        line = file.readline() if file is not None else ""
        if not line.endswith("\n"):  # nothing new, or half a line
            if file is not None:
                file.seek(at)
            if over:
                return math.inf
            over = process.poll() is not None
            time.sleep(_POLL_S)
            continue
        value = json.loads(line).get(tags.SELECTION_RETURN)
        if value is None:
            continue
        first = time.perf_counter() - start if reached == 0 else first
        reached = reached + 1 if value >= solved else 0
        if reached == CONSECUTIVE:
            return first


def case(environment: str) -> None:
    """Measure one environment and print its line."""
    solved = config.read_yaml(paths.conf_dir() / "env" / f"{environment}.yaml")["anchors"]["solved"]
    times: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for seed in range(SEEDS):
        for name, words in CONTESTANTS.items():
            times[name].append(seconds(environment, words, seed, solved))
    fast, theirs = (statistics.median(times[name]) for name in CONTESTANTS)
    shown = {name: ", ".join(f"{t:.1f}" for t in found) for name, found in times.items()}
    ratio = f"{theirs / fast:.1f} x sooner" if math.isfinite(fast + theirs) else "no ratio"
    print(
        f"{environment:<16} {solved:g}: fast {fast:6.1f} s ({shown['fast']})   stable_baselines3 "
        f"{theirs:6.1f} s ({shown['stable_baselines3']})   {ratio}",
        flush=True,
    )


if __name__ == "__main__":
    for one in sys.argv[1:] or CASES:
        case(one)

"""Seconds from the command line to an answer, and to a training's first environment step.

Prints medians of five runs after one warm-up; nothing is asserted.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 5
COMMANDS = {
    "rl-lab --help": ["--help"],
    "rl-lab list": ["list"],
    "rl-lab trian (a typing error)": ["trian"],
    "rl-lab train sed=3 (a typing error)": ["train", "sed=3"],
    "rl-lab train, to its end after 300 steps": ["train", "debug=smoke", "env=CartPole-v1"],
}


def seconds(words: list[str], folder: str) -> float:
    """Wall time of one command in an empty folder."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "rl_lab", *words], cwd=folder, capture_output=True, check=False
    )
    return time.perf_counter() - start


def first_step_s() -> float:
    """From the start of a training process to its first environment step."""
    code = (
        "import os, sys, time\n"
        "import gymnasium\n"
        "make = gymnasium.make\n"
        "def watched(*args, **kwargs):\n"
        "    env = make(*args, **kwargs)\n"
        "    step = env.step\n"
        "    def first(action):\n"
        "        print('FIRST', time.time(), flush=True)\n"
        "        os._exit(0)\n"
        "    env.step = first\n"
        "    return env\n"
        "gymnasium.make = watched\n"
        "from rl_lab.cli import main\n"
        "main(['train', 'debug=smoke', 'agent=ppo'])\n"
    )
    start = time.time()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
        )
    return float(done.stdout.split("FIRST")[1].split()[0]) - start


def main() -> None:
    """Print the table."""
    for name, words in COMMANDS.items():
        times = []
        for _ in range(RUNS + 1):
            with tempfile.TemporaryDirectory() as folder:
                times.append(seconds(words, folder))
        print(f"{statistics.median(times[1:]):6.3f} s  {name}")
    times = [first_step_s() for _ in range(RUNS + 1)]
    print(f"{statistics.median(times[1:]):6.3f} s  rl-lab train, to its first environment step")


if __name__ == "__main__":
    main()

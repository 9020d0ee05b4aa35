"""Measure what uniformly random play returns, and write it into conf/env.

usage: python benchmarks/anchors.py [ID ...]     (default: every environment with anchors)
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import gymnasium
import numpy as np
import yaml

from rl_lab import environments, seeding
from rl_lab.environments import EnvironmentRecipe

FOLDER = Path(__file__).resolve().parents[1] / "conf" / "env"
EPISODES = 200  # seeds 0, 1, ..., 199
STEPS = 200_000  # no further episode starts after these; a count, so that no clock decides


def main() -> None:
    """Measure, print a table, rewrite the files."""
    print(f"{'environment':26}{'episodes':>9}{'steps':>9}{'before':>10}{'mean':>10}{'sd':>9}")
    for path in sorted(FOLDER.glob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        if data["anchors"] and (len(sys.argv) == 1 or data["id"] in sys.argv[1:]):
            measure_into(path, data)


def measure_into(path: Path, data: dict[str, object]) -> None:
    """Measure one environment and rewrite its file's `random` value."""
    returns, steps = play(EnvironmentRecipe.from_data(data))
    mean, deviation = returns.mean(), returns.std(ddof=1)
    before = yaml.safe_load(path.read_text(encoding="utf-8"))["anchors"]["random"]
    row = f"{before:10.2f}{mean:10.2f}{deviation:9.2f}"
    print(f"{data['id']:26}{len(returns):9}{steps:9}{row}", flush=True)
    note = f"# mean of n={len(returns)} episodes, sd {deviation:.1f}"
    line = f"  random: {mean:.1f}".ljust(26) + f"{note}, Gymnasium {gymnasium.__version__}"
    text, found = re.subn(r"(?m)^  random:.*$", line, path.read_text(encoding="utf-8"))
    assert found == 1, f"{path} has {found} lines with `random:`"
    path.write_text(text, encoding="utf-8")


def play(recipe: EnvironmentRecipe) -> tuple[np.ndarray, int]:
    """Returns of random episodes, and the environment steps they took."""
    env = environments.make(recipe)
    returns: list[float] = []
    steps = 0
    while len(returns) < EPISODES and steps < STEPS:
        seed = len(returns)
        # A stream of its own: actions from the environment's own seed would mirror its start.
        env.action_space.seed(int(seeding.generator(seed, "anchors").integers(2**31)))
        env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            total += float(reward)
            steps += 1
            over = terminated or truncated
        returns.append(total)
    env.close()
    return np.array(returns), steps


if __name__ == "__main__":
    main()

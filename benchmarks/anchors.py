"""Measure what uniformly random play returns, and write it into conf/env.

usage: python benchmarks/anchors.py [--episodes N] [--dry-run] [ID ...]
       (default: every environment with anchors; --dry-run measures and leaves the files alone)
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import yaml

from rl_lab import environments, seeding
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput

FOLDER = Path(__file__).resolve().parents[1] / "conf" / "env"
EPISODES = 200  # seeds 0, 1, ..., 199
STEPS = 200_000  # no further episode starts after these; a count, so that no clock decides


def main() -> None:
    """Measure, print a table, rewrite the files."""
    parser = argparse.ArgumentParser(description="Measure what uniformly random play returns.")
    parser.add_argument("ids", nargs="*", metavar="ID", help="default: all that have anchors")
    parser.add_argument("--episodes", type=int, default=EPISODES, help="default: %(default)s")
    parser.add_argument("--dry-run", action="store_true", help="leave the files as they are")
    given = parser.parse_args()
    known = {
        path: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml"))
    }
    chosen = {path: data for path, data in known.items() if data["anchors"]}
    if given.episodes < 2:
        parser.error("--episodes has to be 2 at least: a deviation needs two returns")
    if unknown := set(given.ids) - {data["id"] for data in chosen.values()}:
        parser.error(f"no environment with anchors under conf/env is called {sorted(unknown)[0]}")
    print(f"{'environment':32}{'episodes':>9}{'steps':>9}{'before':>10}{'mean':>10}{'sd':>9}")
    failed = False
    for path, data in chosen.items():
        if given.ids and data["id"] not in given.ids:
            continue
        try:
            measure_into(path, data, given.episodes, given.dry_run)
        except BadInput as error:  # an extra that is not installed; the others go on
            print(f"{path.stem:32}{error}", flush=True)
            failed = True
    sys.exit(int(failed))


def measure_into(path: Path, data: dict[str, Any], episodes: int, dry_run: bool) -> None:
    """Measure one environment and rewrite its file's `random` value."""
    returns, steps = play(EnvironmentRecipe.from_data(data), episodes)
    mean, deviation = returns.mean(), returns.std(ddof=1)
    row = f"{data['anchors']['random']:10.2f}{mean:10.2f}{deviation:9.2f}"
    print(f"{path.stem:32}{len(returns):9}{steps:9}{row}", flush=True)
    note = f"# mean of n={len(returns)} episodes, sd {deviation:.1f}"
    line = f"  random: {mean:.1f}".ljust(26) + f"{note}, Gymnasium {gymnasium.__version__}"
    text, found = re.subn(r"(?m)^  random:.*$", line, path.read_text(encoding="utf-8"))
    assert found == 1, f"{path} has {found} lines with `random:`"
    if not dry_run:
        path.write_text(text, encoding="utf-8")


def play(recipe: EnvironmentRecipe, episodes: int) -> tuple[np.ndarray, int]:
    """Returns of random episodes, and the environment steps they took."""
    env = environments.make(recipe)
    returns: list[float] = []
    steps = 0
    while len(returns) < episodes and steps < STEPS:
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

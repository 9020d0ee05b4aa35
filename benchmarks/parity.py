"""Whether the fast agents learn as well as their twins: ten seeds each, frozen, on the same seeds.

Every step is an ordinary rl-lab command; interrupted, the same command goes on. The difference is
that of the evaluation runner: paired over evaluation seeds, with its interval.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

OUTPUT = Path("outputs/parity")
PAIRS = (
    ("CartPole-v1", "ppo"),
    ("Pendulum-v1", "ppo"),
    ("Acrobot-v1", "a2c"),
    ("LunarLander-v3", "ppo"),
)


def lab(*words: str) -> None:
    """Run one rl-lab command, shown first."""
    print("$ rl-lab", *words, flush=True)
    subprocess.run([sys.executable, "-m", "rl_lab", *words], check=True)


def difference(contestants: list[dict[str, Any]]) -> tuple[float, float, float]:
    """Fast minus standard: estimate, low, high."""
    (other,) = (c for c in contestants if c["to_best"] is not None)
    delta = other["to_best"]["delta"]
    found = delta["estimate"], delta["low"], delta["high"]
    if other["agent"].startswith("fast_"):
        return found
    estimate, low, high = found
    return -estimate, -high, -low


def line(environment: str, agent: str) -> str:
    """Train and evaluate one pair; its line of the table."""
    output = f"output={OUTPUT}"
    seeds = f"seed={','.join(map(str, range(10)))}"
    agents = f"agent={agent},fast_{agent}"
    lab(
        "train",
        "-m",
        f"env={environment}",
        agents,
        seeds,
        "training.selection_every_steps=0",
        output,
    )
    runs = f"runs={OUTPUT / 'train' / environment}"
    more = ("evaluation=quick", "evaluation.episodes=100", "shift=none")
    lab("evaluate", runs, f"name={environment}", *more, output)
    scores = json.loads((OUTPUT / "evaluate" / environment / "scores.json").read_text())
    by_agent = {c["agent"]: c for c in scores["contestants"]}
    means = [by_agent[a]["reward"]["mean"]["estimate"] for a in (agent, f"fast_{agent}")]
    times = [by_agent[a]["training"]["seconds"] for a in (agent, f"fast_{agent}")]
    estimate, low, high = difference(scores["contestants"])
    return (
        f"| {environment} | {agent} | {means[0]:.1f} | {means[1]:.1f} "
        f"| {estimate:+.1f} [{low:+.1f}, {high:+.1f}] | {times[0]:.0f} s | {times[1]:.0f} s |"
    )


def main() -> None:
    """Print the table of the environments named, or of all."""
    wanted = sys.argv[1:]
    lines = [line(*pair) for pair in PAIRS if not wanted or pair[0] in wanted]
    print("| environment | agent | standard | fast | fast - standard | standard | fast |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

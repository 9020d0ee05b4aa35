"""Whether the fast agents learn as well as their twins: ten seeds each, frozen, on the same seeds.

`benchmarks/parity.py [ENVIRONMENT ...]`: every step is an ordinary rl-lab command; interrupted, the
same command goes on. Runs lie beside those of `make results`, which takes its first five seeds from
them. The difference is the evaluation runner's: on the same evaluation seeds, with its interval.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rl_lab.cli import planning
from rl_lab.cli.options import Options

OUTPUT = Path("outputs/results")
PAIRS = (
    ("CartPole-v1", "ppo"),
    ("CartPole-v1", "a2c"),
    ("CartPole-v1", "dqn"),
    ("Acrobot-v1", "a2c"),
    ("Pendulum-v1", "ppo"),
    ("Pendulum-v1", "sac"),
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
    return 0.0 - estimate, 0.0 - high, 0.0 - low


def recipe(environment: str, agent: str) -> Path:
    """The folder of an agent's seeds."""
    words = [f"env={environment}", f"agent={agent}", f"output={OUTPUT}"]
    return planning.plan(words, Options()).plan.folder.parent


def line(environment: str, agent: str) -> str:
    """Train and evaluate one pair; its line of the table."""
    agents, seeds = (agent, f"fast_{agent}"), ",".join(map(str, range(10)))
    lab(
        "train", "-m", f"env={environment}", f"agent={','.join(agents)}", f"seed={seeds}",
        f"output={OUTPUT}",
    )  # fmt: skip
    name = f"parity-{environment}-{agent}"
    runs = ",".join(str(recipe(environment, a)) for a in agents)
    lab(
        "evaluate", f"runs=[{runs}]", f"name={name}", "evaluation=quick", "shift=none",
        "evaluation.episodes=100", f"output={OUTPUT}",
    )  # fmt: skip
    scores = json.loads((OUTPUT / "evaluate" / name / "scores.json").read_text())
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

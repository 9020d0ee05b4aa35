"""Train, evaluate and tabulate the pairs of docs/results.md; interrupted, the same command goes on.

Every step is an ordinary rl-lab command and is printed first.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

OUTPUT = Path("outputs/results")
PAGE = Path("docs/results.md")
SEEDS = "0,1,2"
PAIRS = (
    ("CartPole-v1", "ppo", 475.0),
    ("CartPole-v1", "dqn", 475.0),
    ("Acrobot-v1", "a2c", -100.0),
    ("Pendulum-v1", "sac", -200.0),
    ("LunarLander-v3", "ppo", 200.0),
)
HEAD = """# Results

Every row: the tuned settings of `conf/tuned/`, three training seeds, each policy frozen and run
deterministically on 100 evaluation seeds that no training has seen. `final` is the policy at the
end of training, `best` the snapshot with the highest mean return on the run's ten selection seeds,
which are neither training nor evaluation seeds. The interval is a 95 % t interval over the
training seeds; "reached" counts those whose mean return is at least the threshold. Made by
`make results`.

| environment | agent | policy | steps | threshold | return per seed | mean | reached | time |
|---|---|---|---|---|---|---|---|---|
"""


def lab(*words: str) -> None:
    """Run one rl-lab command, shown first."""
    print("$ rl-lab", *words, flush=True)
    subprocess.run([sys.executable, "-m", "rl_lab", *words], check=True)


def row(environment: str, agent: str, threshold: float, which: str) -> str:
    """Train and evaluate one pair; its line of the table."""
    output = f"output={OUTPUT}"
    lab("train", "-m", f"env={environment}", f"agent={agent}", f"seed={SEEDS}", output)
    (recipe,) = (OUTPUT / "train" / environment).glob(f"{agent}-*")
    name = f"{environment}-{agent}-{which}"
    words = (f"runs={recipe}", f"which={which}", f"name={name}", "evaluation.episodes=100")
    lab("evaluate", *words, output)
    scores = json.loads((OUTPUT / "evaluate" / name / "scores.json").read_text())
    (contestant,) = scores["contestants"]
    reward, training = contestant["reward"], contestant["training"]
    per_seed = reward["per_seed"].values()
    mean = reward["mean"]
    return (
        f"| {environment} | {agent} | {which} | {training['steps']:,.0f} | {threshold:g} "
        f"| {', '.join(f'{value:.1f}' for value in per_seed)} "
        f"| {mean['estimate']:.1f} [{mean['low']:.1f}, {mean['high']:.1f}] "
        f"| {sum(value >= threshold for value in per_seed)} of {len(per_seed)} "
        f"| {training['seconds']:.0f} s |\n"
    )


def main() -> None:
    """Make the page."""
    rows = [row(*pair, which) for pair in PAIRS for which in ("final", "best")]
    PAGE.write_text(HEAD + "".join(rows), encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()

"""Train, evaluate and tabulate the pairs of docs/results.md; interrupted, the same command goes on.

usage: python benchmarks/results.py [ENVIRONMENT ...] [AGENT ...]     (default: all)

Every agent with tuned settings for one of six environments, on five seeds. A pair whose first seed
says that all five would take more than two hours on two cores is left out, with the figure. Every
step is an ordinary rl-lab command and is printed first; the page is written after every pair, and
keeps its older rows until new ones replace them.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

from rl_lab import paths, runs
from rl_lab.cli import config, planning
from rl_lab.cli.options import Options

OUTPUT = Path("outputs/results")
PAGE = Path("docs/results.md")
SEEDS = 5
LIMIT_S = 2 * 3600
ENVIRONMENTS = (
    "CartPole-v1",
    "Acrobot-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
    "LunarLander-v3",
)
# Whose published figures stand beside which environment here.
ZOO_IDS = {"LunarLander-v3": "LunarLander-v2"}
TABLE = "| environment | agent | policy |"


def main() -> None:
    """Measure what was asked for, pair by pair."""
    environments = [word for word in sys.argv[1:] if word in ENVIRONMENTS]
    agents = [word for word in sys.argv[1:] if word not in ENVIRONMENTS]
    for environment, agent in pairs():
        if environment in (environments or ENVIRONMENTS) and agent in (agents or [agent]):
            measure(environment, agent)
    print(f"written: {PAGE}")


def pairs() -> list[tuple[str, str]]:
    """Every agent with tuned settings, environment by environment."""
    folder = paths.conf_dir() / "tuned"
    return [(e, p.stem) for e in ENVIRONMENTS for p in sorted((folder / e).glob("*.yaml"))]


def measure(environment: str, agent: str) -> None:
    """Train and evaluate one pair, and write its rows."""
    words = [f"env={environment}", f"agent={agent}", f"output={OUTPUT}"]
    recipe = planning.plan(words, Options()).plan.folder.parent
    try:
        lab("train", *words, "seed=0")
        seconds = runs.read(recipe / "seed_0")["seconds"]
        if seconds * SEEDS / 2 > LIMIT_S:
            hours = seconds * SEEDS / 2 / 3600
            print(f"left out: {environment} {agent}, {SEEDS} seeds would take {hours:.1f} h")
            return
        lab("train", "-m", *words, f"seed={','.join(map(str, range(SEEDS)))}")
        for which in ("final", "best"):
            name = f"{environment}-{recipe.name}-{which}"
            evaluation = (f"name={name}", "evaluation.episodes=100", f"output={OUTPUT}")
            lab("evaluate", f"runs={recipe}", f"which={which}", *evaluation)
            write(environment, agent, which, row(environment, agent, which, name))
    except subprocess.CalledProcessError as error:
        if error.returncode not in (1, 2):
            raise SystemExit(error.returncode) from error
        print(f"failed: {environment} {agent}; the others go on", file=sys.stderr)


def lab(*words: str) -> None:
    """Run one rl-lab command, shown first."""
    print("$ rl-lab", *words, flush=True)
    subprocess.run([sys.executable, "-m", "rl_lab", *words], check=True)


def row(environment: str, agent: str, which: str, name: str) -> str:
    """The table's line for an evaluation."""
    scores = json.loads((OUTPUT / "evaluate" / name / "scores.json").read_text())
    (contestant,) = scores["contestants"]
    reward, training = contestant["reward"], contestant["training"]
    per_seed = reward["per_seed"].values()
    mean, solved = reward["mean"], threshold(environment)
    return (
        f"| {environment} | {agent} | {which} | {training['steps']:,.0f} | {solved:g} "
        f"| {', '.join(f'{value:.1f}' for value in per_seed)} "
        f"| {mean['estimate']:.1f} [{mean['low']:.1f}, {mean['high']:.1f}] "
        f"| {sum(value >= solved for value in per_seed)} of {len(per_seed)} "
        f"| {training['seconds']:.0f} s | {zoo_figure(environment, agent)} |"
    )


def threshold(environment: str) -> float:
    """The return at which the environment counts as solved."""
    data = config.read_yaml(paths.conf_dir() / "env" / f"{environment}.yaml")
    return float(data["anchors"]["solved"])


def zoo_figure(environment: str, agent: str) -> str:
    """What RL Baselines3 Zoo's benchmark.md says of the pair, one seed; a dash where nothing."""
    name = ZOO_IDS.get(environment, environment)
    path = Path(__file__).with_name("zoo_figures.csv")
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if (line["environment"], line["agent"]) == (name, agent):
                other = f" ({name})" if name != environment else ""
                return f"{float(line['mean']):.1f} ± {float(line['sd']):.1f}{other}"
    return "-"


def write(environment: str, agent: str, which: str, line: str) -> None:
    """Put a row in place of the older one, or after the rows before it."""
    before, rows, after = split(PAGE.read_text(encoding="utf-8"))
    rows[environment, agent, which] = line
    order = [(e, a, w) for e, a in pairs() for w in ("final", "best")]
    kept = [rows[key] for key in order if key in rows]
    PAGE.write_text("\n".join([*before, *kept, *after]) + "\n", encoding="utf-8")


def split(text: str) -> tuple[list[str], dict[tuple[str, str, str], str], list[str]]:
    """The page's lines up to the table's head, its rows by what they are of, and the rest."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(TABLE)) + 2
    last = next((i for i in range(first, len(lines)) if lines[i][:1] != "|"), len(lines))
    rows = {}
    for line in lines[first:last]:
        cells = [cell.strip() for cell in line.split("|")]
        rows[cells[1], cells[2], cells[3]] = line
    return lines[:first], rows, lines[last:]


if __name__ == "__main__":
    main()

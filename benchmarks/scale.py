"""How long the commands take that read a large sweep of finished runs.

usage: python benchmarks/scale.py [RUNS]

Makes a sweep of 10,000 finished runs, files as a real run leaves them, and times what reads them:
medians of three. Nothing is asserted.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rl_lab.cli import config, sweeping
from rl_lab.cli.options import Options
from rl_lab.frozen_policy import card

RECIPES = 20
GAMMAS = ",".join(f"0.{900 + i}" for i in range(RECIPES))
LAB = [sys.executable, "-m", "rl_lab"]
# Large, and read by none of the commands: one copy with many names.
SHARED = ("parameters.pt", "policy.onnx", "metrics.jsonl", "events.out.tfevents")


def lab(words: list[str], folder: Path) -> tuple[float, str]:
    """Seconds of one command, and what it printed last."""
    start = time.perf_counter()
    done = subprocess.run(
        [*LAB, *words], cwd=folder, capture_output=True, text=True, check=False, env=os.environ
    )
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 1):
        sys.exit(f"rl-lab {' '.join(words)}: exit code {done.returncode}\n{done.stderr}")
    return seconds, (done.stdout.splitlines() or [""])[-1]


def words_of(runs: int) -> list[str]:
    """The sweep's command."""
    seeds = f"seed=range({max(1, runs // RECIPES)})"
    return ["env=CartPole-v1", "agent=ppo", f"agent.gamma={GAMMAS}", seeds, "training.steps=300"]


def simulate(folder: Path, runs: int) -> None:
    """Finished runs of the sweep, copied from one real one."""
    lab(["train", "env=CartPole-v1", "agent=ppo", "training.steps=300"], folder)
    (model,) = (folder / "outputs").rglob("seed_0")
    kept = Path(shutil.move(model, folder / "model"))
    shutil.rmtree(folder / "outputs")
    before = Path.cwd()
    os.chdir(folder)
    try:
        jobs = sweeping.plan(config.expand(words_of(runs), multirun=True), Options()).jobs
        for job in jobs:
            _copy(kept, job.folder)
    finally:
        os.chdir(before)


def _copy(model: Path, run: Path) -> None:
    seed, code = int(run.name.removeprefix("seed_")), run.parent.name.rpartition("-")[2]
    for source in model.rglob("*"):
        target = run / source.relative_to(model)
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.name.startswith(SHARED):
            os.link(source, target)
        elif source.name == "run.json":
            data = json.loads(source.read_text())
            target.write_text(json.dumps({**data, "seed": seed, "recipe_hash": code}, indent=2))
        elif source.name == "policy.json":
            data = json.loads(source.read_text())
            data.pop("card_sha256", None)
            data |= {"training_seed": seed, "recipe_hash": code}
            target.write_text(json.dumps(card.sealed(data)))
        else:
            shutil.copyfile(source, target)


SELECT = """
import time
start = time.perf_counter()
from pathlib import Path
from rl_lab.cli import config
from rl_lab.cli.options import Options
from rl_lab.cli.verbs import evaluate
from rl_lab.evaluation import finding
data = config.compose("evaluate", ["runs=outputs/train"], Options())
folders, failures = finding.find_policies(evaluate._places(data), "final")
request = evaluate._request(data, Options(), "", folders, failures)
print(f"{len(request.contestants)} policies, {len(request.tasks)} tasks")
"""


def many(runs: int) -> None:
    """Times of what reads a large sweep."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder, runs)
        print(f"{runs} finished runs of {RECIPES} recipes")
        commands = {
            "rl-lab train -m, nothing to do": ["train", "-m", *words_of(runs)],
            "rl-lab list": ["list"],
        }
        for title, words in commands.items():
            times = [lab(words, folder) for _ in range(3)]
            print(f"{statistics.median(s for s, _ in times):6.2f} s  {title}: {times[0][1]}")
        times = []
        for _ in range(3):
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", SELECT],
                cwd=folder,
                capture_output=True,
                text=True,
                check=True,
            )
            times.append((time.perf_counter() - start, done.stdout.strip()))
        print(f"{statistics.median(s for s, _ in times):6.2f} s  evaluate selects: {times[0][1]}")


def main() -> None:
    """Print what was asked for."""
    many(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)


if __name__ == "__main__":
    main()

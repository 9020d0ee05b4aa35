"""What a sweep costs besides its trainings, and how long commands take that read a large one.

usage: python benchmarks/scale.py [eight | many [RUNS]]

`eight`: eight short runs by the local launcher, against the same runs one after the other, halved;
and what a job takes besides importing and learning. `many`: a sweep of 10,000 finished runs, files
as a real run leaves them, and what reads them: medians of three. Nothing is asserted.
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


SHORT = ["env=CartPole-v1", "agent=ppo", "training.steps=20_000", "launcher.jobs=2"]
# All that a job imports, torch's compiler included: an optimizer imports it in its first step.
IMPORTS = (
    "import rl_lab.cli.verbs.train, rl_lab.freezing, rl_lab.training.runner, torch._dynamo, "
    "rl_lab_agents.sb3, rl_lab_agents.standard, onnxruntime, tensorboard"
)


def eight() -> None:
    """Eight short runs on two cores: all at once, and one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = [lab(["train", *SHORT, f"seed={seed}"], folder)[0] for seed in (100, 101, 102)]
        single_s = statistics.median(alone)
        sweep_s, _ = lab(["train", "-m", *SHORT, "seed=range(8)"], folder)
        blocks = ["seed=range(8)", "launcher.block=4", "output=blocks"]
        blocks_s, _ = lab(["train", "-m", *SHORT, *blocks], folder)
        done = (folder / "outputs").rglob("seed_[0-7]/run.json")
        cards = [json.loads(path.read_text()) for path in done]
        learning_s = sum(card["seconds"] for card in cards)
        start = time.perf_counter()
        for _ in range(4):  # two at a time, as the jobs are
            both = [subprocess.Popen([sys.executable, "-c", IMPORTS]) for _ in range(2)]
            for process in both:
                process.wait()
        importing_s = (time.perf_counter() - start) / 4
    print(f"{len(cards)} runs of 20,000 steps on two cores")
    print(f"{single_s:6.2f} s  one run alone (medians of three)")
    print(f"{sweep_s:6.2f} s  all: {sweep_s / (8 * single_s / 2):.2f} times (8 runs / 2)")
    print(f"{blocks_s:6.2f} s  all in blocks of four, which share their imports")
    job_s = 2 * sweep_s / 8
    print(f"{job_s - single_s:6.2f} s  a job more than the same command alone")
    rest_s = job_s - learning_s / 8
    print(f"{rest_s:6.2f} s  a job besides learning, of which {importing_s:.2f} s imports")
    print(f"{rest_s - importing_s:6.2f} s  a job besides learning and imports")


def main() -> None:
    """Print what was asked for."""
    which, *more = sys.argv[1:] or ["both"]
    if which in ("eight", "both"):
        eight()
    if which in ("many", "both"):
        many(int(more[0]) if more else 10_000)


if __name__ == "__main__":
    main()

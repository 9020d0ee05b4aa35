"""From the combinations of a sweep to jobs; thousands of seeds are planned in one go."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import paths, runs, seeding
from rl_lab.cli import launching, live
from rl_lab.cli.launching import Finished, Job, Launcher
from rl_lab.cli.options import Options
from rl_lab.cli.planning import Planned, Planner
from rl_lab.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The runs that a command asks for.

    Attributes:
        jobs: One per run, in the order of the combinations.
        missing: Those that are not complete.
        launcher: The launcher's section of the configuration.
        output: The folder in which runs are kept.
        imports: Packages that register the environments, of the first run.
    """

    jobs: Sequence[Job]
    missing: Sequence[Job]
    launcher: Mapping[str, Any]
    output: Path
    imports: Sequence[str]


def plan(combinations: Sequence[Sequence[str]], options: Options) -> Sweep:
    """Check all runs of a sweep and see which of them are complete.

    Raises:
        BadInput: Anything about one of them is wrong, or two are the same.
    """
    planner = Planner(options)
    jobs: dict[int, Job] = {}
    first: Planned | None = None
    for words, seeds in _by_recipe(combinations).items():
        made = _jobs(words, seeds, planner, options)
        first = first or made[0]
        jobs |= dict(zip((index for index, _ in seeds), made[1], strict=True))
    assert first is not None
    ordered = [jobs[index] for index in range(len(combinations))]
    _require_distinct(ordered)
    config = first.plan.config
    return Sweep(
        jobs=ordered,
        missing=[job for job in ordered if runs.status(job.folder) != runs.COMPLETE],
        launcher=config["launcher"],
        output=Path(config["output"]),
        imports=first.plan.imports,
    )


def _by_recipe(
    combinations: Iterable[Sequence[str]],
) -> dict[tuple[str, ...], list[tuple[int, str | None]]]:
    """The words without the last `seed=`, each with the places and seeds of its combinations."""
    found: dict[tuple[str, ...], list[tuple[int, str | None]]] = {}
    for index, words in enumerate(combinations):
        given = [word for word in words if word.startswith("seed=")]
        rest = tuple(word for word in words if not word.startswith("seed="))
        seed = given[-1].partition("=")[2] if given else None
        found.setdefault(rest, []).append((index, seed))
    return found


def _jobs(
    words: Sequence[str],
    seeds: Sequence[tuple[int, str | None]],
    planner: Planner,
    options: Options,
) -> tuple[Planned, list[Job]]:
    """A job per seed; only one is planned where nothing but the seed differs."""
    all_words = [[*words, *([] if seed is None else [f"seed={seed}"])] for _, seed in seeds]
    first = planner.plan(all_words[0])
    plain = all((seed or "").isascii() and (seed or "").isdigit() for _, seed in seeds)
    if plain and len(seeds) > 1 and planner.differ_in_seed_alone(*all_words[:2]):
        model = job_of(first, options)
        return first, [_with_seed(model, words, int(str(seed)), options) for _, seed in seeds]
    return first, [
        job_of(first, options),
        *(job_of(planner.plan(w), options) for w in all_words[1:]),
    ]


def job_of(planned: Planned, options: Options) -> Job:
    """A run as a job for a launcher."""
    plan = planned.plan
    return Job(
        words=("train", *planned.words, *flags(options)),
        folder=plan.folder,
        log=plan.folder / paths.RUN_LOG,
        name=f"{plan.environment.id} {plan.folder.parent.name} seed {plan.seed}",
        threads=plan.threads,
        steps=plan.training.steps,
        preload=preload("rl_lab.training.runner", planned.agent),
    )


def preload(verb: str, agent: Mapping[str, Any]) -> tuple[str, ...]:
    """Modules that a training imports: its verb's, freezing, the agent's own, and its algorithm's.

    An optimizer of torch imports torch's compiler in its first step, which takes a second.
    """
    named = [str(agent.get(key, "")).rpartition(".")[0] for key in ("_target_", "algorithm")]
    return "torch._dynamo", "rl_lab.freezing", verb, *filter(None, named)


def run(jobs: Sequence[Job], launcher: Launcher) -> tuple[Sequence[Finished], int]:
    """Run jobs, show them meanwhile, and say how they ended and how fast: the exit code."""
    start = time.monotonic()
    finished = live.run(jobs, launcher)
    print(_summary(jobs, finished, time.monotonic() - start))
    return finished, launching.told(jobs, finished)


def _summary(jobs: Sequence[Job], finished: Sequence[Finished], seconds: float) -> str:
    if stopped := launching.left(jobs, finished):
        return f"stopped with {stopped} of {len(jobs)} runs left; the same command goes on"
    good = sum(done.status != "failed" for done in finished)
    rate = f", {60 * good / seconds:.1f} per minute" if good else ""
    return f"{good} of {len(jobs)} jobs done{rate}"


def _with_seed(model: Job, words: Sequence[str], seed: int, options: Options) -> Job:
    seeding.training_seed(seed)
    folder = paths.run_folder(model.folder.parent, seed)
    return dataclasses.replace(
        model,
        words=("train", *words, f"seed={seed}", *flags(options)),
        folder=folder,
        log=folder / paths.RUN_LOG,
        name=f"{model.name.rpartition(' ')[0]} {seed}",
    )


def flags(options: Options) -> list[str]:
    """Options that every job needs."""
    return ["--config-dir", str(options.config_dir)] if options.config_dir else []


def _require_distinct(jobs: Sequence[Job]) -> None:
    seen: dict[Path, Job] = {}
    for job in jobs:
        other = seen.setdefault(job.folder, job)
        if other is not job:
            raise BadInput(
                f"{' '.join(job.words[1:])} and {' '.join(other.words[1:])} are the same run",
                "combinations that differ",
                "Take the repeated value out of the sweep.",
            )

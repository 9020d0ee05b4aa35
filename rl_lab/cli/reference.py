"""The process behind a reference row: `python -m rl_lab.cli.reference JOB`.

Of all that an evaluation starts this alone imports torch and the library that trained the policy.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rl_lab.evaluation import speed
from rl_lab.evaluation.plan import Entrant
from rl_lab.evaluation.speed import loaded, reference


@dataclasses.dataclass(frozen=True)
class _Job:
    """What the process is told.

    Attributes:
        run: The run's folder.
        policy: Its frozen policy.
        calls: Decisions of each path.
        warm_up_s: Decisions that are not kept.
        step_limit: For environments without a limit of their own.
        imports: Packages that register environments.
        config_dir: The user's own configuration, or None.
    """

    run: str
    policy: str
    calls: int
    warm_up_s: float
    step_limit: int
    imports: tuple[str, ...]
    config_dir: str | None


def command(
    entrant: Entrant,
    settings: speed.Settings,
    step_limit: int,
    imports: tuple[str, ...],
    config_dir: Path | None,
) -> Sequence[str] | str:
    """The command that measures an entrant's reference row, or why there is none."""
    if not settings.reference:
        return "left out by evaluation.speed.reference=false"
    if entrant.run is None:
        return "the policy came without its run"
    if entrant.folder.name != "policy":
        return "the run keeps the weights of its final policy only: which=final"
    job = _Job(
        str(entrant.run),
        str(entrant.folder),
        settings.calls,
        settings.warm_up_s,
        step_limit,
        imports,
        None if config_dir is None else str(config_dir),
    )
    return [sys.executable, "-m", "rl_lab.cli.reference", json.dumps(dataclasses.asdict(job))]


def main(text: str) -> None:
    """Measure, and print the row as one line of JSON."""
    data = json.loads(text)
    job = _Job(**{**data, "imports": tuple(data["imports"])})
    contestant = loaded.load(Path(job.policy), job.step_limit, job.imports)
    contestant.warm_up(job.warm_up_s)
    import torch

    from rl_lab.cli import rebuilding

    torch.set_num_threads(loaded.THREADS)
    agent = rebuilding.agent_of(Path(job.run), Path(job.config_dir) if job.config_dir else None)
    traced = agent.policy()
    row = reference.compare(traced.predict, contestant, job.calls)
    print(json.dumps({"through": dict(traced.facts), "threads": loaded.THREADS, **row}))


if __name__ == "__main__":
    main(sys.argv[1])

"""From episode records to an evaluation's files: scores, decision times, TensorBoard, report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import comparison, files, paths, reporting, runs
from rl_lab.cli import adaptability, boards, costs, facts, reference, replays
from rl_lab.cli.adaptability import Found, Wanted
from rl_lab.cli.worlds import Worlds
from rl_lab.environments import Anchors
from rl_lab.evaluation import speed
from rl_lab.evaluation.plan import Entrant, Failure, Task
from rl_lab.evaluation.runner import Settings
from rl_lab.provenance import versions
from rl_lab.records import EpisodeRecord
from rl_lab.replay import ClipSettings


@dataclasses.dataclass(frozen=True)
class Request:
    """Everything an evaluation was asked for, typed.

    Attributes:
        folder: Where the results go.
        environment: The Gymnasium id.
        anchors: Its scale, or None.
        contestants: The policies.
        tasks: All the work.
        settings: How episodes are run.
        evaluation_seed: Which published list.
        evaluation_seeds: The list.
        worlds: The contexts besides the training's.
        speed: How decision times are measured.
        config_dir: The user's own configuration, or None.
        tensorboard: Whether to write events.
        adaptability: Drift and continued learning, as asked for.
        clips: Of how many contestants, the best first, the report plays episodes.
        clip: How these episodes are kept.
        command: The command that repeats this.
        earlier_failures: What could not even be started.
    """

    folder: Path
    environment: str
    anchors: Anchors | None
    contestants: Sequence[Entrant]
    tasks: Sequence[Task]
    settings: Settings
    evaluation_seed: int
    evaluation_seeds: tuple[int, ...]
    worlds: Worlds
    speed: speed.Settings
    config_dir: Path | None
    tensorboard: bool
    adaptability: Wanted
    clips: int
    clip: ClipSettings
    command: str
    earlier_failures: tuple[Failure, ...]


def conclude(
    request: Request,
    records: Sequence[EpisodeRecord],
    failures: Sequence[Failure],
    found: Found,
) -> dict[str, Any]:
    """Write `scores.json`, `speed.json`, TensorBoard events and `report.html`.

    Returns:
        The scores.
    """
    scores = comparison.compare(
        records,
        facts.contestants(request.contestants, request.worlds),
        environment=request.environment,
        anchors=request.anchors,
        protocol=facts.protocol(
            request.worlds,
            request.evaluation_seed,
            request.evaluation_seeds,
            request.settings.step_limit,
        ),
        failures=[
            dataclasses.asdict(f) for f in (*request.earlier_failures, *failures, *found.failures)
        ],
    )
    for contestant in scores["contestants"]:
        mine = [e for e in request.contestants if e.contestant == contestant["name"]]
        contestant["runs"] = [str(e.run) for e in mine if e.run]
        contestant["commands"] = _commands(mine)
        contestant["policies"] = [str(e.folder) for e in mine]
    ceiling = request.anchors.ceiling if request.anchors else None
    adaptability.attach(scores, request.adaptability, found, request.contestants, ceiling)
    scores |= {"command": request.command, "versions": versions()}
    files.write_json(request.folder / paths.SCORES, scores)
    timed = None
    if request.speed.calls:
        timed = _write_speed(request, scores, records, {f.contestant for f in failures})
    _keep_replays(request, records, scores)
    if request.tensorboard:
        boards.write(request.folder, scores, timed)
        boards.write_final_scores(request.contestants, scores, timed)
    reporting.write_report(request.folder)
    return scores


def _keep_replays(
    request: Request, records: Sequence[EpisodeRecord], scores: Mapping[str, Any]
) -> None:
    wanted = replays.Wanted(
        folder=request.folder,
        entrants=request.contestants,
        step_limit=request.settings.step_limit,
        imports=request.settings.imports,
        shifts=request.worlds.shifts,
        shown=request.clips,
        clip=request.clip,
    )
    replays.keep(wanted, records, [c["name"] for c in scores["contestants"] if c.get("reward")])


def _commands(entrants: Sequence[Entrant]) -> list[str]:
    """What trains these again, as far as their runs know it."""
    found = [runs.read(entrant.run).get("command") for entrant in entrants if entrant.run]
    return [str(command) for command in found if command]


def _write_speed(
    request: Request,
    scores: Mapping[str, Any],
    records: Sequence[EpisodeRecord],
    failed: set[str],
) -> Mapping[str, Any]:
    firsts = {e.contestant: e for e in reversed(request.contestants)}
    present = {name: entrant for name, entrant in sorted(firsts.items()) if name not in failed}
    deadline_s = request.anchors.control_period_s if request.anchors else None
    training = {c["name"]: c["training"] for c in scores["contestants"]}
    data = speed.measure(
        {name: entrant.folder for name, entrant in present.items()},
        request.speed,
        request.settings.step_limit,
        request.settings.imports,
        deadline_s,
        {name: costs.known(training[name], name, records) for name in present},
        {name: _reference(e, request) for name, e in present.items()},
    )
    files.write_json(request.folder / paths.SPEED, data)
    return data


def _reference(entrant: Entrant, request: Request) -> Sequence[str] | str:
    engine = request.settings
    return reference.command(
        entrant, request.speed, engine.step_limit, engine.imports, request.config_dir
    )

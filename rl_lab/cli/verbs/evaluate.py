"""Evaluate frozen policies on reward, speed and robustness; writes records and a report.

usage: rl-lab evaluate runs=FOLDER [key=value ...]
       rl-lab evaluate policies=[FOLDER,FOLDER] [key=value ...]

Policies of one recipe are one contestant, its training seeds. All face the same list of episode
seeds, none of which was trained on. Finished episodes are kept: the same command goes on after an
interruption.

  runs=FOLDER                a run, a folder of runs, or [A,B]
  policies=[A,B]             folders of frozen policies
  evaluation=quick           a first look in seconds (default: standard)
  evaluation.episodes=50     episodes per policy
  evaluation.workers=2       processes (default: one per core)
  shift=none                 no robustness; shift=ENVIRONMENT/NAME for another shift
  name=NAME output=FOLDER    the results go to OUTPUT/evaluate/NAME
"""

from __future__ import annotations

import glob
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab import paths, provenance, seeding
from rl_lab.cli import concluding, config, leaderboard, progress, typed
from rl_lab.cli.options import Options
from rl_lab.environments import Anchors, register, require_known
from rl_lab.errors import EXIT_DONE, EXIT_FAILED, BadInput
from rl_lab.evaluation import plan, runner
from rl_lab.shifts import Shift, from_data


def run(options: Options, words: list[str]) -> int:
    """Evaluate; returns the exit code."""
    data = config.compose("evaluate", config.expand(words, multirun=False)[0], options)
    if options.show_config:
        print(config.to_yaml(data), end="")
        return EXIT_DONE
    request = _request(data, options, shlex.join(["rl-lab", "evaluate", *words]))
    folder = request.folder
    paths.require_writable(folder)
    names = sorted({e.contestant for e in request.contestants})
    count = len(request.contestants)
    print(f"{len(names)} contestants ({', '.join(names)}), {count} policies, {request.environment}")
    with progress.of_episodes("evaluating") as on_episodes:
        outcome = runner.run(
            request.tasks, request.contestants, folder, request.settings, on_episodes
        )
    scores = concluding.conclude(request, *outcome)
    leaderboard.show(folder)
    return EXIT_FAILED if scores["failures"] else EXIT_DONE


def _request(data: Mapping[str, Any], options: Options, command: str) -> concluding.Request:
    settings = data["evaluation"]
    imports = typed.value(data["imports"], tuple[str, ...], "imports")
    register(imports)
    folders, failures = plan.find_policies(_places(data))
    contestants, damaged = plan.entrants(folders)
    environment = str(contestants[0].card.environment["id"])
    require_known(environment)
    anchors, headline = _environment_facts(environment, contestants[0].card.anchors, options)
    shift = _shift(data["shift"], environment, headline, options)
    episodes = _count(settings, "episodes", 1)
    seeds = seeding.evaluation_seeds(_count(settings, "seed", 0), episodes)
    levels = _count(settings, "shift_levels", 2)
    deltas = tuple(i / (levels - 1) for i in range(levels))
    shift_seeds = seeds[: _count(settings, "shift_episodes", 1)]
    work = plan.tasks(contestants, seeds, shift, deltas, shift_seeds)
    name = data["name"] or f"{environment}-{plan.fingerprint(work, contestants)}"
    return concluding.Request(
        folder=paths.evaluation_folder(Path(data["output"]), str(name)),
        environment=environment,
        anchors=anchors,
        contestants=contestants,
        tasks=work,
        settings=_engine(settings, imports),
        evaluation_seeds=tuple(seeds),
        evaluation_seed=settings["seed"],
        shift=shift,
        deltas=deltas if shift else (),
        shift_episodes=len(shift_seeds) if shift else 0,
        speed_calls=_count(settings["speed"], "calls", 0),
        speed_repeats=_count(settings["speed"], "repeats", 1),
        tensorboard=bool(data["logger"]["tensorboard"]),
        command=command,
        earlier_failures=(*failures, *damaged),
    )


def _engine(settings: Mapping[str, Any], imports: tuple[str, ...]) -> runner.Settings:
    workers = typed.value(settings["workers"], int | None, "evaluation.workers")
    if workers is None:
        workers = provenance.available_cores()
    typed.positive(workers, "evaluation.workers")
    timeout_s = typed.value(settings["step_timeout_s"], float, "evaluation.step_timeout_s")
    typed.positive(timeout_s, "evaluation.step_timeout_s")
    return runner.Settings(workers, _count(settings, "step_limit", 1), timeout_s, imports)


def _count(section: Mapping[str, Any], key: str, least: int) -> int:
    number: int = typed.value(section[key], int, f"evaluation.{key}")
    if number < least:
        raise BadInput(
            f"evaluation.{key}={number}", f"a whole number from {least} up", "Choose a larger one."
        )
    return number


def _places(data: Mapping[str, Any]) -> list[Path]:
    given = data["runs"]
    texts = [] if given is None else [given] if isinstance(given, str) else list(given)
    texts += typed.value(data["policies"], tuple[str, ...], "policies")
    if not texts:
        raise BadInput(
            "nothing to evaluate",
            "runs=FOLDER or policies=[FOLDER]",
            "`rl-lab list` shows what is at hand.",
        )
    places: list[Path] = []
    for text in texts:
        matches = sorted(glob.glob(str(text))) if glob.has_magic(str(text)) else [str(text)]
        if not matches:
            raise BadInput(f"{text!r} matches nothing", "a pattern that matches runs or policies")
        places += map(Path, matches)
    return places


def _environment_facts(
    environment: str, on_card: Mapping[str, Any] | None, options: Options
) -> tuple[Anchors | None, str | None]:
    """Anchors and headline shift: of the configuration where it has them, else of the card."""
    for root in (options.config_dir, paths.conf_dir()):
        path = root / "env" / f"{environment}.yaml" if root else None
        if path and path.is_file():
            data = config.read_yaml(path)
            anchors = data.get("anchors")
            return typed.build(Anchors, anchors, "anchors") if anchors else None, data.get(
                "headline_shift"
            )
    return typed.build(Anchors, on_card, "anchors") if on_card else None, None


def _shift(
    data: Mapping[str, Any], environment: str, headline: str | None, options: Options
) -> Shift | None:
    if data == {"name": "none"} or (data == {"name": "headline"} and headline is None):
        return None
    if data == {"name": "headline"}:
        roots = [root for root in (options.config_dir, paths.conf_dir()) if root]
        files = [root / "shift" / environment / f"{headline}.yaml" for root in roots]
        found = next((path for path in files if path.is_file()), files[-1])
        return from_data(config.read_yaml(found))
    shift = from_data(data)
    if shift.environment != environment:
        raise BadInput(
            f"shift {shift.name} is for {shift.environment}, the policies are for {environment}",
            "a shift of the same environment",
            f"`rl-lab list shift/{environment}` shows them.",
        )
    return shift

"""Evaluate frozen policies on reward, speed and robustness; writes records and a report.

usage: rl-lab evaluate runs=FOLDER [key=value ...]
       rl-lab evaluate policies=[FOLDER,FOLDER] [key=value ...]

Policies of one recipe are one contestant, its training seeds. All face the same list of episode
seeds, none of which was trained on. Finished episodes are kept: the same command goes on after an
interruption.

  runs=FOLDER                a run, a folder of runs, or [A,B]
  which=best                 of each run the best snapshot on its selection seeds, not the final
  policies=[A,B]             folders of frozen policies
  suite=true                 policies of three environments or more, each by itself and on one scale
  evaluation=quick           a first look in seconds (default: standard)
  evaluation.episodes=50     episodes per policy
  evaluation.workers=2       processes here (default: one per core)
  shift=none                 no robustness; shift=NAME or shift=[A,B] for other shifts than both
                             sides of the environment's headline: any/observation_noise, ...
  grid=[A,B]                 two shifts at once, every pair of magnitudes
  schedule=step              the shifts also while time goes on: step, ramp, cycle, random_walk;
                             schedule.start=100; schedule.clock=episodes: from one to the next
  adaptations=FOLDER         also what rl-lab adapt made of these runs
  shards=8 launcher=slurm    episodes as jobs of a launcher: local, slurm, ray; shard_workers=2
                             processes in each (default: one)
  imports=[PACKAGE]          packages that register the environment
  name=NAME output=FOLDER    the results go to OUTPUT/evaluate/NAME
"""

from __future__ import annotations

import glob
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import files, garbage, paths, provenance, records, scores_file, seeding
from rl_lab.cli import (
    adaptability,
    concluding,
    config,
    leaderboard,
    progress,
    sharding,
    shift_choice,
    typed,
    worlds,
)
from rl_lab.cli.options import Options
from rl_lab.comparison import suites
from rl_lab.environments import Anchors, register, require_known
from rl_lab.errors import EXIT_DONE, EXIT_FAILED, BadInput
from rl_lab.evaluation import finding, plan, runner, speed
from rl_lab.evaluation.fingerprint import fingerprint
from rl_lab.evaluation.working import Engine
from rl_lab.replay import ClipSettings
from rl_lab.statistics.intervals import counted


def run(options: Options, words: list[str]) -> int:
    """Evaluate; returns the exit code."""
    typed_words = config.expand(words, multirun=False)[0]
    data = config.compose("evaluate", worlds.typed_words(typed_words), options)
    if options.show_config:
        print(config.to_yaml(worlds.as_typed(data)), end="")
        return EXIT_DONE
    command = shlex.join(["rl-lab", "evaluate", *words])
    register(typed.value(data["imports"], tuple[str, ...], "imports"))
    folders, failures = finding.find_policies(_places(data), str(data["which"]))
    if typed.value(data["suite"], bool, "suite"):
        return _suite(data, options, command, words, folders, failures)
    request = _request(data, options, command, folders, failures)
    if data["shard"] is not None:
        return sharding.work([request], data["shard"])
    drifting = _prepared(request)
    code, shared = sharding.elsewhere([request], request.folder.name, words, data, options)
    if code is not None:
        return code
    _evaluate(request, drifting, shared[0])
    leaderboard.show(request.folder)
    return _code(request.folder)


def _suite(
    data: Mapping[str, Any],
    options: Options,
    command: str,
    words: Sequence[str],
    folders: Sequence[Path],
    failures: Sequence[plan.Failure],
) -> int:
    """Each environment by itself, then all on one scale."""
    if _adaptations(data):
        raise BadInput(
            "adaptations= with suite=true",
            "adaptations of one environment",
            "Evaluate them with runs= of that environment.",
        )
    groups = plan.by_environment(folders)
    name = str(data["name"] or f"suite-{files.canonical_hash(sorted(map(str, folders)))}")
    requests = []
    for environment, members in groups.items():
        inner = {**data, "name": f"{name}/{paths.file_name(environment)}"}
        requests.append(_request(inner, options, command, members, ()))
    suites.require_scale({r.environment: r.anchors for r in requests})
    if data["shard"] is not None:
        return sharding.work(requests, data["shard"])
    drifting = [_prepared(request) for request in requests]
    code, shared = sharding.elsewhere(requests, name, words, data, options)
    if code is not None:
        return code
    for request, moving, given_up in zip(requests, drifting, shared, strict=True):
        _evaluate(request, moving, given_up)
    folder = paths.evaluation_folder(Path(data["output"]), name)
    parts = [
        suites.Part(r.environment, records.read(r.folder / paths.EPISODES), r.anchors)
        for r in requests
    ]
    files.write_json(folder / paths.SUITE, {**suites.summarize(parts), "command": command})
    leaderboard.show_suite(folder)
    codes = [_code(request.folder) for request in requests]
    for failure in failures:
        who = f"{failure.contestant} seed {seeding.shown(failure.training_seed)}"
        print(f"failed: {who}: {failure.message}")
    return EXIT_FAILED if failures else max(codes)


def _prepared(request: concluding.Request) -> Engine | None:
    """Refuse what comes after the episodes before them; how those with drift are lived."""
    paths.require_writable(request.folder)
    return adaptability.prepare(
        request.adaptability, request.contestants, request.folder, request.settings
    )


def _evaluate(
    request: concluding.Request, drifting: Engine | None, given_up: Sequence[plan.Failure]
) -> None:
    names = sorted({e.contestant for e in request.contestants})
    count = len(request.contestants)
    who = f"{counted(len(names), 'contestant')} ({', '.join(names)})"
    policies = "1 policy" if count == 1 else f"{count} policies"
    print(f"{who}, {policies}, {request.environment}")
    try:
        with progress.of_episodes("evaluating") as on_episodes:
            outcome = runner.run(
                request.tasks,
                request.contestants,
                request.folder,
                request.settings,
                on_episodes,
                given_up,
                request.command,
            )
        found = adaptability.measure(
            request.adaptability, drifting, request.folder, request.settings
        )
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it was", file=sys.stderr)
        raise
    concluding.conclude(request, *outcome, found)


def _code(folder: Path) -> int:
    return EXIT_FAILED if scores_file.read(folder / paths.SCORES)["failures"] else EXIT_DONE


@garbage.uncollected()
def _request(
    data: Mapping[str, Any],
    options: Options,
    command: str,
    folders: Sequence[Path],
    failures: Sequence[plan.Failure],
) -> concluding.Request:
    settings = data["evaluation"]
    imports = typed.value(data["imports"], tuple[str, ...], "imports")
    contestants, damaged = plan.entrants(folders)
    environment = str(contestants[0].card.environment["id"])
    require_known(environment)
    anchors = _anchors(contestants, options)
    episodes = worlds.count(settings, "episodes", 1)
    seeds = seeding.evaluation_seeds(worlds.count(settings, "seed", 0), episodes)
    plan.require_unseen(contestants, seeds)
    planned = worlds.planned(data, environment, seeds, options)
    own = {
        (e.contestant, e.training_seed): [(context, (seed,)) for context, seed in met]
        for e in contestants
        if (met := worlds.met_in_training(e.card, planned.near))
    }
    work = plan.tasks(contestants, seeds, planned.contexts, own)
    ends = shift_choice.termination(environment, options)
    asked = adaptability.wanted(data, _adaptations(data), contestants, planned, seeds, ends)
    everything = [*work, *asked.drift_tasks] if asked.drift_tasks else work
    code = fingerprint(everything, contestants, settings["step_limit"])
    name = data["name"] or f"{paths.file_name(environment)}-{code}"
    _require_plain(str(name))
    return concluding.Request(
        folder=paths.evaluation_folder(Path(data["output"]), str(name)),
        environment=environment,
        anchors=anchors,
        contestants=contestants,
        tasks=work,
        settings=_engine(settings, imports),
        evaluation_seeds=tuple(seeds),
        evaluation_seed=settings["seed"],
        worlds=planned,
        adaptability=asked,
        speed=typed.build(speed.Settings, settings["speed"], "evaluation.speed"),
        config_dir=options.config_dir,
        tensorboard=typed.value(data["logger"]["tensorboard"], bool, "logger.tensorboard"),
        clips=worlds.count(settings, "clips", 0),
        clip=typed.build(ClipSettings, data["clip"], "clip"),
        command=command,
        earlier_failures=(*failures, *damaged),
    )


def _require_plain(name: str) -> None:
    for part in name.split("/"):
        if paths.file_name(part) != part:
            raise BadInput(
                f"name={name}",
                "letters, digits, and - _ . , = + after the first",
                f"For example name={paths.file_name(part)}.",
            )


def _engine(settings: Mapping[str, Any], imports: tuple[str, ...]) -> runner.Settings:
    workers = typed.value(settings["workers"], int | None, "evaluation.workers")
    if workers is None:
        workers = provenance.available_cores()
    typed.positive(workers, "evaluation.workers")
    timeout_s = typed.value(settings["step_timeout_s"], float, "evaluation.step_timeout_s")
    typed.positive(timeout_s, "evaluation.step_timeout_s")
    return runner.Settings(workers, worlds.count(settings, "step_limit", 1), timeout_s, imports)


def _places(data: Mapping[str, Any]) -> list[Path]:
    given = data["runs"]
    texts = _texts(given) + _texts(data["policies"])
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


def _adaptations(data: Mapping[str, Any]) -> list[Path]:
    texts = [str(text) for text in _texts(data["adaptations"])]
    return [Path(m) for t in texts for m in (sorted(glob.glob(t)) if glob.has_magic(t) else [t])]


def _texts(given: Any) -> list[str]:
    """One text or a list of them; an empty one is none."""
    return [str(g) for g in (given if isinstance(given, list) else [given]) if g not in (None, "")]


def _anchors(contestants: Sequence[plan.Entrant], options: Options) -> Anchors | None:
    """The scale that the policies were frozen with; where they have none, the configuration's.

    Raises:
        BadInput: They were frozen with different ones.
    """
    found = {files.canonical_hash(e.card.anchors): e for e in contestants if e.card.anchors}
    if len(found) > 1:
        one, two, *_ = found.values()
        raise BadInput(
            f"{one.folder} was frozen with the anchors {one.card.anchors}, "
            f"{two.folder} with {two.card.anchors}",
            "one scale for all contestants",
            "Train them with the same env.anchors, or evaluate them apart.",
        )
    for entrant in found.values():
        return typed.build(Anchors, entrant.card.anchors or {}, "anchors")
    environment = str(contestants[0].card.environment["id"])
    anchors = shift_choice.configured(environment, options).get("anchors")
    return typed.build(Anchors, anchors, "anchors") if anchors else None

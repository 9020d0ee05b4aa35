"""An evaluation's episodes shared out as jobs of a launcher: `rl-lab evaluate ... shards=N`.

A shard is every N-th task. It is an evaluation of its own below the evaluation's folder, with its
own journal; its job is the same command with `shard=K/N`, for all environments of a suite.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import files, paths, runs
from rl_lab.cli import launching, live, sweeping, typed
from rl_lab.cli.concluding import Request
from rl_lab.cli.launching import Job
from rl_lab.cli.options import Options
from rl_lab.errors import EXIT_DONE, EXIT_INTERRUPTED, BadInput
from rl_lab.evaluation import runner
from rl_lab.evaluation.fingerprint import fingerprint
from rl_lab.evaluation.plan import Failure, Task
from rl_lab.runs import Progress

_SHARDS, _FAILURES = "shards", "failures.json"
_BEAT_EVERY_S = 1.0
# Those of the command that shares out; a job is given its own.
_NOT_FOR_JOBS = ("launcher", "shards", "shard_workers", "name", "evaluation.workers")


def count(data: Mapping[str, Any]) -> int:
    """How many shards were asked for; 0 where this process runs all episodes.

    Raises:
        BadInput: A number is wrong, or is missing for a cluster.
    """
    if data["shards"] is not None:
        return typed.positive_int(data["shards"], "shards")
    if data["launcher"]["name"] != "local":
        raise BadInput(
            f"launcher={data['launcher']['name']} without shards=",
            "the number of jobs that share the episodes",
            "Give shards=N.",
        )
    return 0


def elsewhere(
    requests: Sequence[Request],
    name: str,
    words: Sequence[str],
    data: Mapping[str, Any],
    options: Options,
) -> tuple[int | None, Sequence[Sequence[Failure]]]:
    """Run shards, where that is asked for.

    Args:
        requests: One, or those of a suite.
        name: Of the evaluation or the suite, where the command has none.
        words: Of this command.
        data: What they mean.
        options: Flags of this command.

    Returns:
        The exit code where this command ends here; and for each request what failed in shards.

    Raises:
        BadInput: What was asked for is wrong.
    """
    if not count(data):
        return None, [()] * len(requests)
    code, failures = share_out(requests, str(data["name"] or name), words, data, options)
    return (None if code == EXIT_DONE else code), failures


def work(requests: Sequence[Request], shard: Any) -> int:
    """Live the episodes of one shard; the exit code.

    Raises:
        BadInput: `shard` is not K/N, or the episodes cannot be lived.
    """
    first, _, number = str(shard).partition("/")
    if not (first.isdigit() and number.isdigit() and int(first) < int(number)):
        raise BadInput(f"shard={shard}", "K/N, with K from 0 to N - 1")
    codes = [_fingerprint(request) for request in requests]
    for request, code in zip(requests, codes, strict=True):
        runner.require_free(request.folder, code)
    beat = _beating(requests, int(first), int(number))
    before = 0
    for request, code in zip(requests, codes, strict=True):
        runner.claim(request.folder, code, request.contestants)
        folder = _folder(request, int(first), int(number))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FAILURES).unlink(missing_ok=True)
        tasks = request.tasks[int(first) :: int(number)]
        found: Sequence[Failure] = ()
        if tasks:
            _, found = runner.run(
                tasks,
                request.contestants,
                folder,
                request.settings,
                functools.partial(beat, before),
            )
            before += _episodes(tasks)
        files.write_json(folder / _FAILURES, [dataclasses.asdict(failure) for failure in found])
    return EXIT_DONE


def _folder(request: Request, shard: int, number: int) -> Path:
    return request.folder / _SHARDS / f"{shard}-of-{number}"


def _fingerprint(request: Request) -> str:
    return fingerprint(request.tasks, request.contestants, request.settings.step_limit)


def _episodes(tasks: Sequence[Task]) -> int:
    return sum(len(task.evaluation_seeds) for task in tasks)


def _beating(
    requests: Sequence[Request], shard: int, number: int
) -> Callable[[int, int, int], None]:
    """Leaves a heartbeat of all a shard's episodes, now and then, where its job is looked for."""
    folder = _folder(requests[0], shard, number)
    total = sum(_episodes(request.tasks[shard::number]) for request in requests)
    start = time.monotonic()
    last = 0.0

    def tell(before: int, mine: int, _: int) -> None:
        nonlocal last
        done = before + mine
        now = time.monotonic()
        if now - last >= _BEAT_EVERY_S or done == total:
            last = now
            seconds = max(now - start, 1e-9)
            runs.write_progress(folder, Progress(done, total, done / seconds, None, seconds))

    return tell


def share_out(
    requests: Sequence[Request],
    name: str,
    words: Sequence[str],
    data: Mapping[str, Any],
    options: Options,
) -> tuple[int, list[list[Failure]]]:
    """Run the shards that are not done, and take over what they found.

    Args:
        requests: One, or those of a suite.
        name: Of the evaluation or the suite.
        words: Of this command.
        data: What they mean.
        options: Flags of this command.

    Returns:
        The exit code: only with 0 all has been tried; and for each request which policies failed.

    Raises:
        BadInput: A folder holds another evaluation, or a request cannot be run.
    """
    codes = [_fingerprint(request) for request in requests]
    for request, code in zip(requests, codes, strict=True):
        runner.require_free(request.folder, code)
        runner.require_possible(
            request.tasks, request.contestants, request.folder, request.settings
        )
    number = min(count(data), max(len(request.tasks) for request in requests))
    folder = paths.evaluation_folder(Path(data["output"]), name)
    undone = {k for request in requests for k in _undone(request, number)}
    left = [_job(k, number, requests, name, words, data, options) for k in sorted(undone)]
    launcher = launching.make(data["launcher"], folder / paths.JOBS) if left else None
    for request, code in zip(requests, codes, strict=True):
        runner.claim(request.folder, code, request.contestants, request.command)
    if any(word.lstrip("+").startswith("evaluation.workers=") for word in words):
        each = f"each has shard_workers={data['shard_workers']}"
        print(f"evaluation.workers says nothing of shards: {each}", file=sys.stderr)
    print(f"{number} shards, {number - len(left)} complete already")
    exit_code = launching.told(left, live.run(left, launcher)) if launcher else EXIT_DONE
    if exit_code == EXIT_INTERRUPTED:
        print("interrupted; the same command goes on where it was", file=sys.stderr)
    for request in requests:
        places = sorted((request.folder / _SHARDS).glob("*-of-*"))
        runner.adopt(request.folder, request.tasks, places)
    return exit_code, [_failures(request, number) for request in requests]


def _failures(request: Request, number: int) -> list[Failure]:
    """What shards say of policies that still miss episodes; what others say is of earlier."""
    left = runner.left(request.tasks, [request.folder])
    missing = {(task.contestant, task.training_seed) for task in left}
    files_of = [_folder(request, k, number) / _FAILURES for k in range(number)]
    said = [Failure(**f) for path in files_of if path.exists() for f in files.read_json(path)]
    return [one for one in said if (one.contestant, one.training_seed) in missing]


def _undone(request: Request, number: int) -> set[int]:
    """The shards that have episodes which no journal has."""
    places = [request.folder, *sorted((request.folder / _SHARDS).glob("*-of-*"))]
    missing = {key for task in runner.left(request.tasks, places) for key in task.keys}
    return {i % number for i, task in enumerate(request.tasks) if missing.intersection(task.keys)}


def _job(
    shard: int,
    number: int,
    requests: Sequence[Request],
    name: str,
    words: Sequence[str],
    data: Mapping[str, Any],
    options: Options,
) -> Job:
    workers = typed.positive_int(data["shard_workers"], "shard_workers")
    own = [w for w in words if not w.lstrip("+~").startswith(_NOT_FOR_JOBS)]
    folder = _folder(requests[0], shard, number)
    more = [f"name={name}", f"evaluation.workers={workers}", f"shard={shard}/{number}"]
    return Job(
        words=("evaluate", *own, *more, *sweeping.flags(options)),
        folder=folder,
        log=folder / paths.RUN_LOG,
        name=f"shard {shard} of {number}",
        threads=workers,
        steps=sum(_episodes(request.tasks[shard::number]) for request in requests),
        preload=(),
    )

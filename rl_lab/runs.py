"""Run folders: what `run.json` says, and what a folder's state is."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from rl_lab import files, paths
from rl_lab.errors import BadInput, Held

FORMAT_VERSION = 1
# Of a run's two frozen policies, the word for it and its folder.
POLICIES = {"final": "policy", "best": "best"}
RUNNING, COMPLETE, FAILED, INTERRUPTED = "running", "complete", "failed", "interrupted"
LOCK = "run.lock"
_KEPT_ON_RESTART = (paths.RUN_LOG, LOCK)


@dataclasses.dataclass(frozen=True)
class Progress:
    """A heartbeat.

    Attributes:
        step: Environment steps done.
        steps: The budget.
        steps_per_second: Since learning began.
        episode_return: Recent mean of training episodes; None before the first has ended.
        seconds: Since learning began.
    """

    step: int
    steps: int
    steps_per_second: float
    episode_return: float | None
    seconds: float


def write_progress(folder: Path, progress: Progress) -> None:
    """Leave a heartbeat for other terminals; not worth waiting for the disk."""
    data = {**dataclasses.asdict(progress), "updated": time.time()}
    temporary = folder / f".{paths.PROGRESS}"
    try:
        temporary.write_text(json.dumps(data), encoding="utf-8")
        os.replace(temporary, folder / paths.PROGRESS)
    except OSError as error:
        raise files.cannot_write(folder / paths.PROGRESS, error) from error


def write(folder: Path, data: Mapping[str, Any]) -> None:
    """Write `run.json`."""
    files.write_json(folder / paths.RUN_CARD, {"format_version": FORMAT_VERSION, **data})


def read(folder: Path) -> dict[str, Any]:
    """Read `run.json`.

    Raises:
        BadInput: The folder is no run, or is of a newer format.
    """
    path = folder / paths.RUN_CARD
    do = "Update rl-lab to the version that made the run."
    try:
        return files.read_versioned(path, FORMAT_VERSION, do)
    except BadInput:
        if path.is_file():
            raise
        raise BadInput(
            f"{folder} is not a run",
            f"a folder with {paths.RUN_CARD}",
            "`rl-lab list` shows the runs at hand.",
        ) from None


def status(folder: Path) -> str | None:
    """A run folder's status; None where there is no run yet."""
    if not (folder / paths.RUN_CARD).is_file():
        return None
    return str(read(folder).get("status"))


def require_complete(folder: Path) -> dict[str, Any]:
    """Read the card of a run that has finished.

    Raises:
        BadInput: The run has not finished.
    """
    data = read(folder)
    if data["status"] != COMPLETE:
        raise BadInput(
            f"run {folder} is {data['status']}",
            "a complete run",
            "Give its training command again, or leave it out.",
        )
    return data


def clear(folder: Path) -> None:
    """Take away what an unfinished attempt left, all but its log and damaged checkpoints."""
    for path in folder.iterdir():
        if path.name in _KEPT_ON_RESTART:
            continue
        if path.name == paths.CHECKPOINTS and any(path.iterdir()):
            continue  # set aside as damaged: no other is there
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextlib.contextmanager
def exclusive(folder: Path, doing: str) -> Iterator[None]:
    """Hold a folder alone; the system lets go of it however this process ends.

    Args:
        folder: Of a run or an evaluation.
        doing: What another process would be doing in it, for the message.

    Raises:
        Held: Another process holds it.
    """
    path = folder / LOCK
    with path.open("a+", encoding="utf-8") as file:
        locked = _lock(file)
        if locked is False or (locked is None and _holder_lives(file)):
            raise Held(
                f"another process is {doing} in {folder}{_holder(file)}",
                "one writer per folder",
                "Wait for it, or stop it.",
            )
        file.seek(0)
        file.truncate()
        json.dump({"pid": os.getpid(), "boot": _boot()}, file)
        file.flush()
        try:
            yield
        finally:
            # Said goodbye: the next one need not wonder whether this process lives.
            with contextlib.suppress(OSError):
                file.seek(0)
                file.truncate()


def _lock(file: IO[str]) -> bool | None:
    """Take the file's lock: False where another has it, None where the system has no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS) else False
    return True


def _note(file: IO[str]) -> dict[str, Any]:
    """What the latest holder wrote; it is empty where that one ended in order."""
    file.seek(0)
    try:
        data = json.loads(file.read() or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _holder_lives(file: IO[str]) -> bool:
    """Whether the noted holder is a living process of this machine; a dead one is forgotten."""
    note = _note(file)
    pid = note.get("pid")
    same_time = isinstance(pid, int) and note.get("boot") == _boot()
    return same_time and pid != os.getpid() and Path(f"/proc/{pid}").exists()


def _holder(file: IO[str]) -> str:
    pid = _note(file).get("pid")
    return f" (process {pid})" if pid else ""


def _boot() -> str:
    """Names the time since the machine was started; process numbers mean nothing beyond it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""

"""What the tests under `tests/scale` share: commands as a user gives them, and what they left."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

LAB = [sys.executable, "-m", "rl_lab"]
WORLD = Path(__file__).parent / "scale" / "world"
# Short, and still in its first steps while the file `hold` exists.
SWEEP = (
    "train -m env=Held-v0 env.imports=[held_world] agent=dqn training.steps=300 "
    "training.selection_every_steps=0"
)


def environment(folder: Path) -> dict[str, str]:
    """Variables with which every process finds the world, and the file that holds it."""
    return {**os.environ, "PYTHONPATH": str(WORLD), "RL_LAB_TEST_HOLD": str(folder / "hold")}


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """No training below a folder gets far within this block."""
    (folder / "hold").touch()
    try:
        yield
    finally:
        (folder / "hold").unlink()


def start(words: str, folder: Path, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    """A command in a folder, in the background."""
    return subprocess.Popen(
        [*before, *LAB, *words.split()],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], code: int) -> tuple[str, str]:
    """What a command printed, once it has ended with this exit code."""
    try:
        out, err = process.communicate(timeout=240)
    finally:
        process.terminate()  # nothing happens where it has ended
        process.wait()
    assert process.returncode == code, out + err
    return out, err


def wait_until(found: Callable[[], object], every_s: float = 0.1) -> None:
    """Look until there is something; four minutes at most."""
    until = time.monotonic() + 240.0
    while not found():
        assert time.monotonic() < until, "what was waited for did not come"
        time.sleep(every_s)


def step(folder: Path, seed: int) -> int:
    """How far a run of the only sweep in a folder is."""
    for path in folder.glob(f"outputs/train/*/*/seed_{seed}/progress.json"):
        return int(json.loads(path.read_text())["step"])
    return 0


def cards(folder: Path) -> dict[str, dict[str, Any]]:
    """What the runs of the only sweep in a folder say of themselves, and when they wrote it."""
    found = sorted(folder.glob("outputs/train/*/*/seed_*/run.json"))
    return {
        path.parent.name: {**json.loads(path.read_text()), "written": path.stat().st_mtime_ns}
        for path in found
    }


def statuses(folder: Path) -> dict[str, str]:
    """How the runs of the only sweep in a folder stand."""
    return {name: card["status"] for name, card in cards(folder).items()}

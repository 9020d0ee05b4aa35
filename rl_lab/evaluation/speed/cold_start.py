"""Cold start: from a fresh interpreter to the first action, and the memory held then."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab.evaluation.speed.settings import missing

_TIMEOUT_S = 120.0
# Only what a program that uses a frozen policy would import; this package imports far more.
_PROGRAM = """
import time
start = time.perf_counter()
import sys
import rl_lab.frozen_policy as frozen
imported = time.perf_counter()
policy = frozen.load_policy(sys.argv[1])
loaded = time.perf_counter()
policy.observation_space.seed(0)
observation, extra = policy.observation_space.sample(), ()
if policy.card.action_masks:
    import numpy
    extra = (numpy.ones(frozen.mask_width(policy.card.action_space), bool),)
asked = time.perf_counter()
policy.act(observation, policy.reset(), *extra)
done, done_at = time.perf_counter(), time.time()
try:
    lines = open("/proc/self/status").read().splitlines()
    memory = next(int(l.split()[1]) * 1024 for l in lines if l.startswith("VmRSS:"))
except OSError:
    memory = None
import json
print(json.dumps({"done_at": done_at, "import_s": imported - start, "load_s": loaded - imported,
                  "first_action_s": done - asked, "memory_bytes": memory}), flush=True)
"""


def measure(folders: Mapping[str, Path], repeats: int) -> dict[str, dict[str, Any]]:
    """Start every policy in fresh interpreters, in turn.

    Args:
        folders: One frozen policy per contestant.
        repeats: Interpreters per policy.
    """
    tried: dict[str, list[dict[str, Any]]] = {name: [] for name in folders}
    for _ in range(repeats):
        for name, folder in folders.items():
            tried[name].append(_start(folder))
    return {name: summary(starts) for name, starts in tried.items()}


def _start(folder: Path) -> dict[str, Any]:
    """One start; `error` where it failed."""
    # Two processes share no clock but the wall's.
    begin = time.time()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(folder)],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return {"error": type(error).__name__}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]}
    told = json.loads(done.stdout.splitlines()[-1])
    return {"total_s": told["done_at"] - begin, **told}


def summary(starts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians over the starts, as `cold_start` and `memory_bytes` of a contestant."""
    errors = [start["error"] for start in starts if "error" in start]
    if errors:
        reason = f"a fresh interpreter failed: {errors[0]}"
        return {**missing("cold_start", reason), **missing("memory_bytes", reason)}
    keys = ("total_s", "import_s", "load_s", "first_action_s")
    medians = {k: round(statistics.median(s[k] for s in starts), 6) for k in keys}
    held = [start["memory_bytes"] for start in starts if start["memory_bytes"] is not None]
    memory = (
        {"memory_bytes": int(statistics.median(held))}
        if held
        else missing("memory_bytes", "the system does not say")
    )
    return {"cold_start": {"repeats": len(starts), **medians}, **memory}

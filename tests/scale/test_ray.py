"""A Ray cluster of two nodes on this machine; one is killed in the middle. `make test-scale`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra `ray`")
pytestmark = [pytest.mark.scale, pytest.mark.slow]
LAB = [sys.executable, "-m", "rl_lab"]
ADDRESS = "127.0.0.1:6401"
SWEEP = (
    "train -m env=CartPole-v1 agent=dqn tuned=none training.selection_every_steps=0 "
    f"training.steps=4000 seed=range(4) launcher=ray launcher.address={ADDRESS}"
)


def node(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """A node as one process group, which a kill takes down as a machine goes down."""
    ray = Path(sys.executable).with_name("ray")
    common = ["--num-cpus=1", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1"]
    log = (folder / f"node{len(words)}.log").open("wb")
    return subprocess.Popen(
        [ray, "start", *common, *words], stdout=log, stderr=log, start_new_session=True
    )


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    head = node(tmp_path, "--head", "--port=6401", "--include-dashboard=false")
    started = [head]
    try:
        wait_until(lambda: "1.0 CPU" in status())
        started.append(node(tmp_path, f"--address={ADDRESS}"))
        wait_until(lambda: "2.0 CPU" in status())
        yield started
    finally:
        for process in reversed(started):
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """A node's processes, those that left its group included."""
    family = descendants(process.pid)
    for pid in [process.pid, *family]:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue
    process.wait()


def descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents if parent == ancestor]
    return found[1:]


def status() -> str:
    ray = Path(sys.executable).with_name("ray")
    done = subprocess.run([ray, "status", "--address", ADDRESS], capture_output=True, text=True)
    return done.stdout


def wait_until(found: object, seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while not found():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.3)


def cards(folder: Path) -> dict[str, tuple[str, int]]:
    """Status of each run, and when its card was last written."""
    found = sorted(folder.glob("outputs/train/*/*/seed_*/run.json"))
    return {
        p.parent.name: (json.loads(p.read_text())["status"], p.stat().st_mtime_ns) for p in found
    }


def test_a_dead_node_costs_its_runs_and_a_repeat_completes_them(
    nodes: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    place = {"cwd": tmp_path, "text": True}
    sweep = subprocess.Popen(
        [*LAB, *SWEEP.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **place
    )
    beats = "outputs/train/*/*/seed_*/progress.json"
    try:
        wait_until(lambda: len(list(tmp_path.glob(beats))) >= 2)
        kill(nodes[1])
        out, err = sweep.communicate(timeout=300)
    finally:
        sweep.terminate()
        sweep.wait()
    assert sweep.returncode == 1, out + err
    assert "its worker was lost" in err
    before = cards(tmp_path)
    done = {name for name, (state, _) in before.items() if state == "complete"}
    assert len(done) == 3, before
    again = subprocess.run([*LAB, *SWEEP.split()], capture_output=True, **place)
    assert again.returncode == 0, again.stderr
    assert "4 runs, 3 complete already" in again.stdout
    after = cards(tmp_path)
    assert {state for state, _ in after.values()} == {"complete"}
    assert len(after) == 4
    assert all(after[name] == before[name] for name in done)  # none trained twice

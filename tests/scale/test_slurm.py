"""A real one-node SLURM: a sweep, a cancelled job, a preemption. `make test-scale`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("slurm.sh")
pytestmark = [pytest.mark.scale, pytest.mark.slow]
LAB = [sys.executable, "-m", "rl_lab"]
SWEEP = "train -m env=CartPole-v1 agent=dqn tuned=none training.selection_every_steps=0"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([SCRIPT, "start", folder], capture_output=True, text=True)
    if started.returncode == 3:
        pytest.skip(f"SLURM's Debian packages cannot be installed here: {started.stdout.strip()}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        try:
            assert started.returncode == 0, started.stdout + started.stderr
            yield
        finally:
            subprocess.run(["scancel", "--me"], check=False)
            subprocess.run([SCRIPT, "stop", folder], check=True)


@pytest.fixture
def here(slurm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*LAB, *words.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def statuses(folder: Path) -> dict[str, str]:
    cards = sorted(folder.glob("outputs/train/*/*/seed_*/run.json"))
    return {path.parent.name: json.loads(path.read_text())["status"] for path in cards}


def wait_until(found: object, seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while not found():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.2)


def step(folder: Path, seed: int) -> int:
    for path in folder.glob(f"outputs/train/*/*/seed_{seed}/progress.json"):
        return int(json.loads(path.read_text())["step"])
    return 0


def element_of(folder: Path, index: int) -> str:
    """The array element that runs the index-th job of the only sweep in a folder."""
    (submitted,) = folder.glob(f"outputs/.jobs/slurm/*_{index}_submitted.pkl")
    return submitted.name.removesuffix("_submitted.pkl")


def test_a_cancelled_job_is_picked_up_by_the_same_command(here: Path) -> None:
    words = f"{SWEEP} seed=range(8) training.steps=3000 launcher=slurm"
    sweep = start(words)
    wait_until(lambda: step(here, 1) > 0)
    subprocess.run(["scancel", element_of(here, 1)], check=True)
    out, err = sweep.communicate(timeout=240)
    assert sweep.returncode == 1, out + err
    assert "7 of 8 jobs done" in out
    assert "seed 1: cancelled" in err
    assert "log.txt" in err
    after = statuses(here)
    assert after.pop("seed_1") == "interrupted"
    assert after == {f"seed_{k}": "complete" for k in (0, 2, 3, 4, 5, 6, 7)}
    written = {p: p.stat().st_mtime_ns for p in here.glob("outputs/train/*/*/*/run.json")}
    again = subprocess.run([*LAB, *words.split()], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "8 runs, 7 complete already" in again.stdout
    assert set(statuses(here).values()) == {"complete"}
    changed = [p.parent.name for p, t in written.items() if p.stat().st_mtime_ns != t]
    assert changed == ["seed_1"]


def test_a_preempted_job_is_queued_again_and_goes_on(here: Path) -> None:
    # The only checkpoint to go on from is the one that SIGTERM asks for.
    seldom = "checkpoint.every_s=0 checkpoint.every_steps=1_000_000"
    words = f"{SWEEP} {seldom} seed=0,1 training.steps=4000 launcher=slurm"
    sweep = start(f"{words} launcher.options.partition=low")
    wait_until(lambda: step(here, 0) > 0 and step(here, 1) > 0)
    urgent = ["srun", "--partition=high", "--cpus-per-task=2", "sleep", "3"]
    subprocess.run(urgent, check=True, timeout=120)
    out, err = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, out + err
    assert "2 of 2 jobs done" in out
    cards = [json.loads(p.read_text()) for p in here.glob("outputs/train/*/*/seed_*/run.json")]
    assert [card["status"] for card in cards] == ["complete"] * 2
    assert [card["resume"]["level"] for card in cards] == ["exact"] * 2
    assert all(card["resume"]["from_step"] > 0 for card in cards)

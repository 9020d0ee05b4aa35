"""Jobs as processes: blocks, failures, deaths, stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rl_lab.cli.launching import Finished, Job, block
from rl_lab.cli.launching.local import Local
from rl_lab.cli.launching.tracking import cut

FAKES = str(Path(__file__).parents[1])
TRAIN = ("train", "debug=smoke", "env.imports=[fakes]", "agent=dqn", "tuned=none")


def job(folder: Path, name: str, *words: str) -> Job:
    place = folder / name
    return Job(words, place, place / "log.txt", name, 1, None, ("rl_lab.training.runner",))


def dying(folder: Path, name: str, fault: str) -> Job:
    words = (*TRAIN, "env=FakeFaulty-v0", f"++env.kwargs.fault={fault}", f"output={folder}")
    return job(folder, name, *words)


def run_all(launcher: Local, jobs: list[Job]) -> dict[str, Finished]:
    launcher.launch(jobs)
    found: list[Finished] = []
    while launcher.busy:
        found += launcher.poll(5.0)
    assert len(found) == len(jobs)
    return {done.job.name: done for done in found}


@pytest.fixture(autouse=True)
def fakes_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", FAKES)


@pytest.mark.parametrize("size", [1, 4])
def test_a_job_that_fails_or_dies_costs_itself_alone(tmp_path: Path, size: int) -> None:
    jobs = [
        job(tmp_path, "good", "list", "env"),
        dying(tmp_path, "raises", "raise"),
        dying(tmp_path, "dies", "die"),
        job(tmp_path, "bad", "list", "nowhere"),
    ]
    ended = run_all(Local(tmp_path, 2, size), jobs)
    assert {name: done.code for name, done in ended.items()} == {
        "good": 0,
        "raises": 1,
        "dies": 7,
        "bad": 2,
    }
    assert [ended[n].status for n in ("good", "raises", "dies")] == ["complete", "failed", "failed"]
    assert "the motor is on fire" in ended["raises"].reason()
    assert ended["dies"].reason() == "the process ended with exit code 7"
    assert "no folder 'nowhere'" in ended["bad"].reason()
    assert "CartPole-v1" in (tmp_path / "good" / "log.txt").read_text()


def test_blocks_share_their_imports_and_nothing_else(tmp_path: Path) -> None:
    words = (*TRAIN, "env=CartPole-v1", "agent=ppo")
    runs = [(*words, f"seed={seed}", f"output={tmp_path}") for seed in (0, 1, 0)]
    runs[2] = (*words, "seed=0", f"output={tmp_path / 'apart'}")
    jobs = [job(tmp_path, str(i), *some) for i, some in enumerate(runs)]
    together = run_all(Local(tmp_path, 1, 2), jobs[:2])
    alone = run_all(Local(tmp_path, 1, 1), jobs[2:])
    assert {d.status for d in (*together.values(), *alone.values())} == {"complete"}
    (one,) = tmp_path.glob("train/*/*/seed_0/policy/policy.onnx")
    (two,) = tmp_path.glob("apart/train/*/*/seed_0/policy/policy.onnx")
    assert one.read_bytes() == two.read_bytes()


def endless(folder: Path, name: str) -> Job:
    words = (*dying(folder, name, "none").words, f"output={folder / name}", "training.steps=1e9")
    return job(folder, name, *words, "training.selection_every_steps=0")


def wait_for(folder: Path, pattern: str) -> Path:
    for _ in range(600):
        for found in folder.glob(pattern):
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {pattern}")


def test_stopping_asks_running_jobs_and_starts_no_more(tmp_path: Path) -> None:
    launcher = Local(tmp_path, 1, 2)
    launcher.launch([endless(tmp_path, str(i)) for i in range(4)])
    wait_for(tmp_path, "0/train/*/*/seed_0/run.json")
    launcher.stop()
    ended = launcher.poll(0.0)
    assert [done.status for done in ended] == ["interrupted"] * 2
    assert not launcher.busy
    assert not (tmp_path / "2").exists()


def test_a_killed_block_is_lost_alone(tmp_path: Path) -> None:
    launcher = Local(tmp_path, 2, 1)
    launcher.launch([endless(tmp_path, "0"), job(tmp_path, "1", "list", "env")])
    wait_for(tmp_path, "0/train/*/*/seed_0/run.json")
    launcher._running[0][0].kill()
    ended = {}
    while launcher.busy:
        ended |= {done.job.name: done for done in launcher.poll(5.0)}
    assert (ended["0"].status, ended["0"].reason()) == ("failed", "killed by signal 9")
    assert ended["1"].status == "complete"


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's parent-death signal")
def test_jobs_stop_when_their_launcher_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from test_launching_local import endless\n"
        "from rl_lab.cli.launching.local import Local\n"
        "launcher = Local(Path(sys.argv[1]), 1, 1)\n"
        "launcher.launch([endless(Path(sys.argv[1]), 'x')])\n"
        "time.sleep(600)\n"
    )
    here = str(Path(__file__).parent)
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), here])
    lock = wait_for(tmp_path, "x/train/*/*/seed_0/run.lock")
    wait_for(tmp_path, "x/train/*/*/seed_0/run.json")
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    import fcntl

    with lock.open("a") as file:
        for _ in range(200):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                time.sleep(0.05)
    raise AssertionError("the job outlived its launcher")


def test_results_are_read_whole_lines_only(tmp_path: Path) -> None:
    assert block.read_results(tmp_path / "absent") == {}
    (tmp_path / "r").write_text("0 0\n1 -9\n2 7")
    assert block.read_results(tmp_path / "r") == {0: 0, 1: -9}


def test_blocks_never_share_their_results(tmp_path: Path) -> None:
    cuts = [cut([job(tmp_path, f"{k}", "list")], 1, tmp_path / "jobs") for k in range(50)]
    assert len({block.results for (block,) in cuts}) == 50

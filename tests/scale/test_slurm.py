"""A real one-node SLURM: a cancelled job, a preemption, a time limit. `make test-scale`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_parts import SWEEP, cards, ended, held, start, statuses, step, wait_until

pytest.importorskip("submitit", reason="needs the extra `slurm`")
SCRIPT = Path(__file__).with_name("slurm.sh")
EVALUATION = (
    "evaluate runs=outputs/train imports=[held_world] name=shared evaluation=quick shift=none "
    "evaluation.episodes=4 evaluation.speed.calls=0 evaluation.clips=0 shards=2 launcher=slurm"
)
ADAPTATION = (
    "adapt runs=outputs/train/*/*/seed_[01] shift=any/action_delay steps=100 snapshots=2 "
    "scratch=false launcher=slurm"
)
pytestmark = [pytest.mark.scale, pytest.mark.slow]


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


def element_of(folder: Path, index: int) -> str:
    """The array element that runs the index-th job of the only sweep in a folder."""
    (submitted,) = folder.glob(f"outputs/.jobs/slurm/*_{index}_submitted.pkl")
    return submitted.name.removesuffix("_submitted.pkl")


def test_a_cancelled_job_is_picked_up_by_the_same_command(slurm: None, tmp_path: Path) -> None:
    words = f"{SWEEP} seed=range(8) launcher=slurm"
    with held(tmp_path):
        sweep = start(words, tmp_path)
        wait_until(lambda: step(tmp_path, 1) > 0)
        subprocess.run(["scancel", element_of(tmp_path, 1)], check=True)
        wait_until(lambda: statuses(tmp_path)["seed_1"] == "interrupted")
    out, err = ended(sweep, 1)
    assert "7 of 8 jobs done" in out
    assert "seed 1: cancelled" in err
    assert "log.txt" in err
    before = cards(tmp_path)
    assert statuses(tmp_path) == {
        f"seed_{k}": "interrupted" if k == 1 else "complete" for k in range(8)
    }
    out, _ = ended(start(words, tmp_path), 0)
    assert "8 runs, 7 complete already" in out
    after = cards(tmp_path)
    assert set(statuses(tmp_path).values()) == {"complete"}
    assert [name for name in after if after[name] != before[name]] == ["seed_1"]
    out, _ = ended(start(EVALUATION, tmp_path), 0)
    assert "2 shards, 0 complete already" in out
    rows = (tmp_path / "outputs/evaluate/shared/episodes.csv").read_text().splitlines()
    assert len(rows) == 1 + 8 * 4
    out, _ = ended(start(ADAPTATION, tmp_path), 0)
    assert "2 of 2 jobs done" in out
    assert len(list(tmp_path.glob("outputs/adapt/*/*/*/seed_[01]/adaptation.json"))) == 2


def test_a_preempted_job_is_queued_again_and_goes_on(slurm: None, tmp_path: Path) -> None:
    # The only checkpoint to go on from is the one that SIGTERM asks for.
    seldom = "checkpoint.every_s=0 checkpoint.every_steps=1_000_000"
    with held(tmp_path):
        words = f"{SWEEP} {seldom} seed=0,1 launcher=slurm launcher.options.partition=low"
        sweep = start(words, tmp_path)
        wait_until(lambda: step(tmp_path, 0) > 0 and step(tmp_path, 1) > 0)
        urgent = ["srun", "--partition=high", "--cpus-per-task=2", "true"]
        subprocess.run(urgent, check=True, timeout=120)
    out, _ = ended(sweep, 0)
    assert "2 of 2 jobs done" in out
    found = cards(tmp_path).values()
    assert [card["status"] for card in found] == ["complete"] * 2
    assert [card["resume"]["level"] for card in found] == ["exact"] * 2
    assert all(card["resume"]["from_step"] > 0 for card in found)


def test_a_job_near_its_time_limit_is_queued_again_and_goes_on(slurm: None, tmp_path: Path) -> None:
    # The only checkpoint to go on from is the one that the cluster's notice asks for.
    seldom = "checkpoint.every_s=0 checkpoint.every_steps=1_000_000"
    # SLURM may give a notice up to a minute early: with a limit of one, before the job has begun.
    limit = "launcher.time_min=2 launcher.notice_s=15"
    with held(tmp_path):
        # Longer than the limit as long as the world is held.
        words = f"{SWEEP} training.steps=4_000 {seldom} seed=0 launcher=slurm {limit}"
        sweep = start(words, tmp_path)
        wait_until(lambda: statuses(tmp_path).get("seed_0") == "interrupted")
    out, _ = ended(sweep, 0)
    assert "1 of 1 jobs done" in out
    (card,) = cards(tmp_path).values()
    assert card["status"] == "complete"
    assert card["resume"]["level"] == "exact"
    assert card["resume"]["from_step"] > 0

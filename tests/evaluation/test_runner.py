from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
from pathlib import Path

import pytest
from fakes import always, countdown_return, saved

from rl_lab.errors import BadInput
from rl_lab.evaluation import plan, runner
from rl_lab.evaluation.plan import Entrant, Task
from rl_lab.shifts import NOMINAL

SEEDS = list(range(100, 125))
SETTINGS = runner.Settings(workers=1, step_limit=50, step_timeout_s=5.0, imports=("fakes",))


def make_entrants(tmp_path: Path, *policies: tuple[str, int, object]) -> list[Entrant]:
    made = []
    for name, seed, policy in policies:
        folder = saved(policy, tmp_path / f"{name}_{seed}")  # type: ignore[arg-type]
        made.append(Entrant(name, seed, folder, policy.card, None))  # type: ignore[attr-defined]
    return made


def two(tmp_path: Path) -> list[Entrant]:
    return make_entrants(tmp_path, ("one", 0, always(1)), ("zero", 0, always(0)))


def run(entrants: list[Entrant], folder: Path, workers: int = 1, seeds: list[int] = SEEDS):
    tasks = plan.tasks(entrants, seeds)
    settings = runner.Settings(workers, 50, 5.0, ("fakes",))
    return runner.run(tasks, entrants, folder, settings)


def test_records_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    records, failures = run(two(tmp_path), tmp_path / "e")
    assert failures == []
    found = {(r.contestant, r.evaluation_seed): r.episode_return for r in records}
    expected = {("one", seed): countdown_return(seed) for seed in SEEDS}
    assert found == expected | {("zero", seed): 0.0 for seed in SEEDS}


def test_workers_and_order_do_not_change_a_byte(tmp_path: Path) -> None:
    entrants = two(tmp_path)
    texts = set()
    for name, who, workers in (("a", entrants, 1), ("b", entrants[::-1], 2), ("c", entrants, 4)):
        run(who, tmp_path / name, workers)
        texts.add((tmp_path / name / "episodes.csv").read_bytes())
    assert len(texts) == 1


def _run_in_child(tmp_path: Path) -> None:
    entrants = make_entrants(tmp_path, ("one", 0, always(1)))
    tasks = plan.tasks(entrants, list(range(4000)))
    runner.run(tasks, entrants, tmp_path / "killed", SETTINGS)


def test_a_killed_evaluation_goes_on_where_it_was(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_run_in_child, args=(tmp_path,))
    child.start()
    journal = tmp_path / "killed" / "episodes.journal.csv"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size > 5000):
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)  # type: ignore[arg-type]
    child.join()
    before = journal.read_text()
    assert 0 < before.count("\n") < 4000, "the child was killed half-way"
    entrants = make_entrants(tmp_path, ("one", 0, always(1)))
    run(entrants, tmp_path / "killed", seeds=list(range(4000)))
    whole = before[: before.rindex("\n") + 1]
    assert journal.read_text().startswith(whole), "finished episodes are kept, not run again"
    assert journal.read_text().count("\n") == 4000
    run(entrants, tmp_path / "straight", seeds=list(range(4000)))
    texts = [(tmp_path / n / "episodes.csv").read_bytes() for n in ("killed", "straight")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raise", "the motor is on fire"),
        ("nan_reward", "returned the reward nan"),
        ("die", "died with exit code 7"),
        ("hang", "did not answer within 3 s"),
    ],
)
def test_a_bad_environment_costs_its_own_contestant_only(
    tmp_path: Path, fault: str, words: str
) -> None:
    good = always(1, "FakeFaulty-v0", kwargs={"fault": fault, "every": 10_000})
    bad = always(1, "FakeFaulty-v0", kwargs={"fault": fault, "every": 7})
    entrants = make_entrants(tmp_path, ("bad", 3, bad), ("good", 0, good))
    tasks = plan.tasks(entrants, SEEDS)
    settings = runner.Settings(2, 50, 3.0, ("fakes",))
    records, failures = runner.run(tasks, entrants, tmp_path / "e", settings)
    assert [r.evaluation_seed for r in records if r.contestant == "good"] == SEEDS
    (failure,) = failures
    assert (failure.contestant, failure.training_seed) == ("bad", 3)
    assert words in failure.message
    assert re.search("seed (105|112|119)", failure.message)
    assert "step 2" in failure.message or "step 1" in failure.message


def test_another_evaluation_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    entrants = two(tmp_path)
    run(entrants, tmp_path / "e")
    with pytest.raises(BadInput, match=r"another evaluation .*, episodes, seeds, shifts, mag"):
        run(entrants, tmp_path / "e", seeds=SEEDS[:-1])


def test_tasks_cover_every_episode_once() -> None:
    entrant = Entrant("a", 0, Path("x"), always(1).card, None)
    tasks = plan.tasks([entrant], SEEDS)
    assert [s for t in tasks for s in t.evaluation_seeds] == SEEDS
    assert all(isinstance(t, Task) and t.context == NOMINAL for t in tasks)

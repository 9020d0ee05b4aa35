"""Trials and workers: none lost, none counted twice, whoever dies."""

from __future__ import annotations

import datetime
import subprocess
import sys
import time
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="needs the extra `tune`")

from optuna.trial import TrialState  # noqa: E402
from studying import finished, opened  # noqa: E402

from rl_lab.search import desk as desks  # noqa: E402
from rl_lab.search import studies  # noqa: E402
from rl_lab.search.desk import Desk  # noqa: E402


def test_no_more_trials_are_taken_than_asked(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with Desk(study, tmp_path / "w") as one, Desk(study, tmp_path / "w") as two:
        first, second = one.take(2), two.take(2)
        assert first is not None
        assert second is not None
        assert one.take(2) is None  # both are in hand
        study.tell(first, 1.0)
        assert one.take(2) is None
        study.tell(second, state=TrialState.PRUNED)
        assert two.take(2) is None
        assert finished(study) == 2
        third = two.take(3)
        assert third is not None
        third.set_user_attr(studies.ERROR, "it burned")
        study.tell(third, state=TrialState.FAIL)
        assert finished(study) == 3  # a training that fails for good is an answer too


def test_a_dead_workers_trial_is_tried_again(tmp_path: Path) -> None:
    study = opened(tmp_path)
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from studying import opened\n"
        "from rl_lab.search.desk import Desk\n"
        "folder = Path(sys.argv[1])\n"
        "study = opened(folder)\n"
        "trial = Desk(study, folder / 'w').__enter__().take(1)\n"
        "trial.suggest_float('x', 0.0, 1.0)\n"
        "os._exit(9)\n"
    )
    here = str(Path(__file__).parents[1])
    dead = subprocess.run([sys.executable, "-c", code, str(tmp_path), here], check=False)
    assert dead.returncode == 9
    (left,) = study.get_trials()
    assert left.state == TrialState.RUNNING
    with Desk(study, tmp_path / "w") as desk:
        again = desk.take(1)
        assert again is not None
        assert again.suggest_float("x", 0.0, 1.0) == left.params["x"]
        study.tell(again, 2.0)
        assert desk.take(1) is None
    assert finished(study) == 1
    states = [t.state for t in study.get_trials(deepcopy=False)]
    assert states == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_living_workers_trial_is_left_alone(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with Desk(study, tmp_path / "w") as one, Desk(study, tmp_path / "w") as two:
        assert one.take(1) is not None
        two.bury()
        assert [t.state for t in study.get_trials()] == [TrialState.RUNNING]


def test_a_trial_that_is_buried_before_it_is_claimed_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = opened(tmp_path)
    draw = study.ask
    with Desk(study, tmp_path / "w") as slow, Desk(study, tmp_path / "w") as other:

        def slowly() -> optuna.Trial:
            trial = draw()
            monkeypatch.setattr(study, "ask", draw)
            monkeypatch.setattr(desks, "_UNCLAIMED_S", 0.0)
            other.bury()
            return trial

        monkeypatch.setattr(study, "ask", slowly)
        taken = slow.take(1)
        assert taken is not None
        assert taken.number == 1
        study.tell(taken, 1.0)
        assert other.take(1) is None
    states = [t.state for t in study.get_trials(deepcopy=False)]
    assert states == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_trial_is_no_older_where_clocks_are_put_forward_or_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = datetime.datetime
    utc = datetime.timezone.utc
    try:
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        spring = at(2026, 3, 8, 1, 59, 30), at(2026, 3, 8, 7, 0, 10, tzinfo=utc)
        autumn = at(2026, 11, 1, 1, 59, 30), at(2026, 11, 1, 6, 0, 10, tzinfo=utc)
        assert [desks._age_s(*times) for times in (spring, autumn)] == [40.0, 40.0]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("url", [None, "sqlite"])
def test_a_trial_that_nobody_claims_is_buried_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    study = opened(tmp_path, url and f"sqlite:///{tmp_path}/s.db")
    with Desk(study, tmp_path / "w") as desk:
        study.ask()
        desk.bury()
        assert [t.state for t in study.get_trials()] == [TrialState.RUNNING]
        monkeypatch.setattr(desks, "_UNCLAIMED_S", 0.0)
        desk.bury()
        assert [t.state for t in study.get_trials()] == [TrialState.FAIL]


def test_a_trial_given_back_does_not_count(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with Desk(study, tmp_path / "w") as desk:
        trial = desk.take(1)
        assert trial is not None
        x = trial.suggest_float("x", 0.0, 1.0)
        desk.give_back(trial)
        assert finished(study) == 0
        again = desk.take(1)
        assert again is not None
        assert again.suggest_float("x", 0.0, 1.0) == x


def test_workers_folders_come_and_go_whoever_looks_into_them(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    study = opened(tmp_path)
    with Desk(study, folder) as desk:
        (folder / "dead").mkdir()
        (folder / "dead" / "run.lock").write_text("")
        with Desk(study, folder):
            desk.bury()
            assert len([p for p in folder.iterdir() if p.is_dir()]) == 2, "the dead one is gone"
        assert not desks._held(folder / "vanished")
        (mine,) = (p for p in folder.iterdir() if p.is_dir())
        (mine / "left by another").touch()
    assert [p.name for p in mine.iterdir()] == ["left by another"]

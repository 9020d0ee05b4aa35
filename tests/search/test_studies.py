"""Studies shared by workers: none lost, none counted twice, whoever dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

optuna = pytest.importorskip("optuna", reason="needs the extra `tune`")

from optuna.trial import TrialState  # noqa: E402

from rl_lab.errors import BadInput  # noqa: E402
from rl_lab.search import studies  # noqa: E402

FACTS = {"space": [{"key": "a"}], "objective": {"seeds": 1}, "words": ["env=x"], "recipe": "1"}


def opened(folder: Path, url: str | None = None, **facts: Any) -> Any:
    return studies.open_study(
        studies.storage(url, folder),
        "s",
        folder,
        ["maximize"],
        {**FACTS, **facts},
        studies.sampler("random", 0),
        studies.pruner("none"),
    )


def finished(study: Any) -> int:
    return sum(map(studies.finished, study.get_trials(deepcopy=False)))


def test_no_more_trials_are_taken_than_asked(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with studies.Desk(study, tmp_path / "w") as one, studies.Desk(study, tmp_path / "w") as two:
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
        "from test_studies import opened, studies\n"
        "folder = Path(sys.argv[1])\n"
        "study = opened(folder)\n"
        "trial = studies.Desk(study, folder / 'w').__enter__().take(1)\n"
        "trial.suggest_float('x', 0.0, 1.0)\n"
        "os._exit(9)\n"
    )
    here = str(Path(__file__).parent)
    dead = subprocess.run([sys.executable, "-c", code, str(tmp_path), here], check=False)
    assert dead.returncode == 9
    (left,) = study.get_trials()
    assert left.state == TrialState.RUNNING
    with studies.Desk(study, tmp_path / "w") as desk:
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
    with studies.Desk(study, tmp_path / "w") as one, studies.Desk(study, tmp_path / "w") as two:
        assert one.take(1) is not None
        two.bury()
        assert [t.state for t in study.get_trials()] == [TrialState.RUNNING]


def test_a_trial_given_back_does_not_count(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with studies.Desk(study, tmp_path / "w") as desk:
        trial = desk.take(1)
        assert trial is not None
        x = trial.suggest_float("x", 0.0, 1.0)
        desk.give_back(trial)
        assert finished(study) == 0
        again = desk.take(1)
        assert again is not None
        assert again.suggest_float("x", 0.0, 1.0) == x


@pytest.mark.parametrize("url", [None, "sqlite"])
def test_another_space_is_refused(tmp_path: Path, url: str | None) -> None:
    url = url and f"sqlite:///{tmp_path}/s.db"
    opened(tmp_path, url)
    opened(tmp_path, url)
    with pytest.raises(BadInput, match="another search space: it differs in b"):
        opened(tmp_path, url, space=[{"key": "a"}, {"key": "b"}])
    with pytest.raises(BadInput, match="another training"):
        opened(tmp_path, url, words=["env=y"])
    with pytest.raises(BadInput, match="another recipe"):
        opened(tmp_path, url, recipe="2")


def test_storages_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("not a database, but a text of some length " * 100)
    for url in (
        f"sqlite:///{tmp_path}/x.db",
        "nonsense",
        "postgresql+psycopg://me:secret@127.0.0.1:1/x",
    ):
        with pytest.raises(BadInput) as caught:
            studies.storage(url, tmp_path)
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)
    (tmp_path / "study.journal").write_text("{]\n" * 3)
    with pytest.raises(BadInput, match="cannot be used"):
        opened(tmp_path)
    with pytest.raises(BadInput, match="Did you mean 'tpe'"):
        studies.sampler("tpee", 0)


@pytest.mark.parametrize("url", [None, "sqlite"])
def test_three_workers_on_a_new_storage_at_once(tmp_path: Path, url: str | None) -> None:
    url = url and f"sqlite:///{tmp_path}/s.db"
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from test_studies import opened, studies\n"
        "folder = Path(sys.argv[1])\n"
        "(folder / f'ready{sys.argv[4]}').touch()\n"
        "while len(list(folder.glob('ready*'))) < 3: time.sleep(0.001)\n"
        "study = opened(folder, sys.argv[3] or None)\n"
        "with studies.Desk(study, folder / 'w') as desk:\n"
        "    while (trial := desk.take(12)) is not None:\n"
        "        study.tell(trial, trial.suggest_float('x', 0.0, 1.0))\n"
    )
    here = str(Path(__file__).parent)
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), here, url or "", str(k)])
        for k in range(3)
    ]
    assert [w.wait(120) for w in workers] == [0, 0, 0]
    assert finished(opened(tmp_path, url)) == 12


def test_workers_folders_come_and_go_whoever_looks_into_them(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    study = opened(tmp_path)
    with studies.Desk(study, folder) as desk:
        (folder / "dead").mkdir()
        (folder / "dead" / "run.lock").write_text("")
        with studies.Desk(study, folder):
            desk.bury()
            assert len([p for p in folder.iterdir() if p.is_dir()]) == 2, "the dead one is gone"
        assert not studies._held(folder / "vanished")
        (mine,) = (p for p in folder.iterdir() if p.is_dir())
        (mine / "left by another").touch()
    assert [p.name for p in mine.iterdir()] == ["left by another"]

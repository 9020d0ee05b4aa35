"""`study.json` and its page: a golden file, other versions, and names that mean harm."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rl_lab import cli, files
from rl_lab.errors import BadInput, Failed
from rl_lab.reporting import studies, study_page

GOLDEN = Path(__file__).parent / "golden" / "study_v1"


def stored(folder: Path, change: dict[str, Any]) -> Path:
    data = {**json.loads((GOLDEN / "study.json").read_text()), **change}
    (folder / "study.json").write_text(json.dumps(data))
    return folder


def test_the_golden_study_is_read_and_shown(tmp_path: Path) -> None:
    study = studies.load(GOLDEN)
    assert study["winner"]["trial"] == 0
    page = study_page.render(study)
    assert '<bdi class="name">a2c</bdi> on <bdi class="name">CartPole-v1</bdi>' in page
    assert "evaluate/winner-0-44444444/report.html" in page
    assert page.count('class="plot"') == 3


@pytest.mark.parametrize("objectives", [[9.25], [9.25, 4.5]], ids=["reward", "reward and latency"])
def test_equal_trials_have_a_page_that_says_so(objectives: list[float]) -> None:
    golden = json.loads((GOLDEN / "study.json").read_text())
    model = next(t for t in golden["trials"] if t["state"] == "complete")
    trials = [{**model, "number": k, "objectives": objectives} for k in range(3)]
    page = study_page.render({**golden, "trials": trials, "importance": None, "winner": None})
    assert "all 3 trials with a value have the same return" in page
    assert page.count('class="plot"') == len(objectives)
    drawn = " ".join(re.findall(r'\b(?:x|y|d|cx|cy|x1|y1|points)="[^"]*"', page))
    assert drawn
    assert "nan" not in drawn.lower()
    assert "inf" not in drawn.lower()
    if len(objectives) > 1:
        assert "3 of 3 trials are on the front" in page


def test_the_page_is_made_again_by_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(GOLDEN / "study.json", tmp_path)
    assert cli.main(["report", f"study={tmp_path}"]) == 0
    path = Path(capsys.readouterr().out.strip())
    first = path.read_bytes()
    path.unlink()
    assert cli.main(["report", f"study={tmp_path}"]) == 0
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_version": 2}, "format_version 2 (expected version 1"),
        ({"format_version": None}, "format_version None"),
        ({"trials": 3}, "lacks trials as a list of objects"),
        ({"trials": [{"number": 1}]}, "lacks checks, counts, error, objectives"),
    ],
)
def test_another_format_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        studies.load(stored(tmp_path, change))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("study=nowhere", "nowhere holds no study"),
        ("study=x evaluation=y", "expected study=FOLDER alone"),
        ("study=x format=md", "expected study=FOLDER alone"),
    ],
)
def test_bad_words(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", *words.split()]) == 2
    assert said in capsys.readouterr().err


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    hostile = '"><script>alert(1)</script>\u202e'
    data = copy.deepcopy(json.loads((GOLDEN / "study.json").read_text()))
    data |= {"name": hostile, "agent": hostile, "environment": hostile}
    data["importance"] = {hostile: 1.0}
    data["winner"] |= {"values": {hostile: hostile}, "evaluation": hostile}
    for trial in data["trials"]:
        trial |= {"values": {hostile: hostile}, "error": hostile}
    page = study_page.write(stored(tmp_path, data)).read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_study_is_written_as_the_golden_one_is(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    from optuna.distributions import FloatDistribution
    from optuna.study import create_study
    from optuna.trial import create_trial

    from rl_lab.cli import tuning_record

    golden = json.loads((GOLDEN / "study.json").read_text())
    first = golden["trials"][0]
    study = create_study(directions=["maximize", "minimize"])
    study.add_trial(
        create_trial(
            values=[first["objectives"][0], first["latency_in_search_us"]],
            params={"1 - agent.gamma": 0.05},
            distributions={"1 - agent.gamma": FloatDistribution(0.001, 0.1, log=True)},
            user_attrs={key: first[key] for key in ("values", "returns", "runs")},
        )
    )
    recipes = iter(golden["winner"]["recipe_hashes"].values())
    request: Any = SimpleNamespace(
        folder=tmp_path,
        name=golden["name"],
        facts={key: golden[key] for key in ("space", "objective", "words", "recipe")},
        settings={"winner_seeds": 5},
        baseline=SimpleNamespace(
            plan=SimpleNamespace(environment=SimpleNamespace(id="CartPole-v1"), agent="a2c")
        ),
        plan=lambda values, seed: SimpleNamespace(plan=SimpleNamespace(recipe_hash=next(recipes))),
    )
    won = tuning_record.Won(first, golden["winner"]["evaluation"])
    tuning_record.write(request, study, won, {0: first["objectives"][1]})
    written = files.read_json(tmp_path / "study.json")
    assert list(written) == list(golden)
    assert written["winner"] == golden["winner"]
    # Trials with two objectives have no checks; else it is the golden one's first.
    assert written["trials"] == [{**first, "checks": []}]
    assert tuning_record.best(golden["trials"])["number"] == golden["winner"]["trial"]


@pytest.mark.parametrize(("last", "known"), [(1.0, False), (2.0, True)])
def test_what_mattered_is_not_known_where_nothing_varies(last: float, known: bool) -> None:
    optuna = pytest.importorskip("optuna", reason="needs the extra `tune`")
    from rl_lab.cli import tuning_record

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for value in (1.0, 1.0, last):
        trial = study.ask()
        trial.suggest_float("x", 0.0, 1.0)
        study.tell(trial, value)
    assert (tuning_record._importance(study) is not None) is known


def test_the_best_is_the_fastest_of_equal_ones() -> None:
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    from rl_lab.cli import tuning_record

    objectives = [[3.0, 5.0], [4.0, 7.0], [4.0, 6.0], None]
    states = ["complete"] * 3 + ["fail"]
    trials = [
        {"number": k, "state": states[k], "objectives": o, "error": "it burned"}
        for k, o in enumerate(objectives)
    ]
    assert tuning_record.best(trials)["number"] == 2
    with pytest.raises(Failed, match=r"no trial of the study has a value.*it burned"):
        tuning_record.best(trials[3:])

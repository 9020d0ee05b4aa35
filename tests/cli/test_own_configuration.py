"""A folder of the user's own, laid out like `conf/`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rl_lab import cli
from rl_lab.cli import shift_choice
from rl_lab.cli.options import Options


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with one file of each kind, as short as a user would write it."""
    monkeypatch.chdir(tmp_path)
    conf = tmp_path / "my conf"
    files = {
        "env/Mine.yaml": "id: FakeCountdown-v0\nimports: [fakes]\nkwargs: {bonus: 2.0}\n",
        "agent/small.yaml": "defaults: [a2c]\nname: small\nn_steps: 7\n",
        "experiment/mine.yaml": "# @package _global_\n# Mine.\ndefaults:\n"
        "  - override /env: Mine\n  - override /agent: small\ntraining:\n  steps: 70\n",
        "tuned/Mine/a2c.yaml": "# @package _global_\nagent:\n  settings: mine\n  n_steps: 9\n",
        "shift/FakeCountdown-v0/scaled.yaml": "name: scaled\nenvironment: FakeCountdown-v0\n"
        "parameter: scale\nunit: ''\npath: multiplicative\nnominal: 1.0\nnear: 1.5\n"
        "far: 2.0\nbounds: [0, null]\nacts: {before_reset: [{set: scale}]}\nsource: made up\n",
    }
    for name, text in files.items():
        (conf / name).parent.mkdir(parents=True, exist_ok=True)
        (conf / name).write_text(text)
    return conf


def composed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["train", *words, "--cfg"]) == 0
    return capsys.readouterr().out


def test_each_kind_of_file_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--config-dir", str(folder)]
    text = composed(capsys, "experiment=mine", *own)
    assert "id: FakeCountdown-v0" in text
    assert "bonus: 2.0" in text
    assert "n_steps: 7" in text
    assert "steps: 70" in text
    assert "n_steps: 9" in composed(capsys, "env=Mine", "agent=a2c", *own)
    assert cli.main(["list", "env", *own]) == 0
    assert "Mine" in capsys.readouterr().out


def test_a_shared_folder_of_one_s_own_is_searched(folder: Path) -> None:
    """As `any` and `mujoco` are: a folder of no single environment, without naming it anywhere."""
    text = (folder / "shift" / "FakeCountdown-v0" / "scaled.yaml").read_text()
    (folder / "shift" / "ours").mkdir()
    own = text.replace("name: scaled", "name: twice").replace("FakeCountdown-v0", "any")
    (folder / "shift" / "ours" / "twice.yaml").write_text(own)
    (shift,) = shift_choice.declared(
        "twice", "FakeCountdown-v0", Options(config_dir=folder), "shift"
    )
    assert (shift.name, shift.environment) == ("twice", "any")


def test_it_trains_and_is_evaluated_under_its_own_shift(folder: Path) -> None:
    own = ["--config-dir", str(folder)]
    assert cli.main(["train", "experiment=mine", "debug=smoke", *own]) == 0
    words = "evaluate runs=outputs/train imports=[fakes] evaluation=quick name=e"
    words += " shift=FakeCountdown-v0/scaled evaluation.speed.calls=0 evaluation.context_episodes=0"
    assert cli.main([*words.split(), *own]) == 0
    rows = (folder.parent / "outputs/evaluate/e/episodes.csv").read_text().splitlines()[1:]
    scaled = {row.split(",")[4] for row in rows if ",scaled," in row}
    assert scaled == {"0.5", "1.0"}
    scores = json.loads((folder.parent / "outputs/evaluate/e/scores.json").read_text())
    assert scores["contestants"][0]["name"] == "small"


def test_what_is_shown_has_the_keys_that_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    for verb, own in (("evaluate", ["shift"]), ("replay", ["shift", "evaluation"])):
        assert cli.main([verb, *[f"{key}=x" for key in own], "--cfg"]) == 0
        shown = capsys.readouterr().out.splitlines()
        assert {f"{key}: x" for key in own} <= set(shown)
        assert not any(line.startswith(("shifts:", "from_")) for line in shown)

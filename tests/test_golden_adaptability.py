"""Files of the first format versions still read as they were written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fakes import always

from rl_lab import adaptations, drift_records
from rl_lab.drift import storing
from rl_lab.errors import BadInput
from rl_lab.evaluation import adaptations as finding
from rl_lab.evaluation.plan import Entrant

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Beside a policy, as a reference always is."""
    text = (GOLDEN / "reference_v1" / "reference.json").read_text()
    (tmp_path / "reference.json").write_text(text)
    (tmp_path / "policy.json").touch()
    return tmp_path


def test_a_reference_of_version_1(folder: Path) -> None:
    read = storing.load(folder, "ab" * 32)
    assert (read.environment, read.fit_episodes, read.false_alarm_rate) == ("Countdown-v0", 2, 0.25)
    assert (read.kappa, read.threshold, read.novelty_rate) == (0.5, 2.5, 0.125)
    assert [side.tolist() for side in (read.low_s, read.high_s, read.sd_s)] == [
        [-1.0, 0.0],
        [1.0, 10.0],
        [0.5, 4.0],
    ]
    assert [sample.tolist() for sample in read.samples] == [
        [[0, 1], [0.5, 2]],
        [[0.25, 3]],
        [[-0.5, 4], [1, 5], [0, 6]],
    ]
    model = read.model
    assert model is not None
    assert np.array_equal(model.weights, np.arange(16).reshape(8, 2) / 8)
    assert (model.sd_s.tolist(), model.residual_mean, model.residual_sd) == ([0.125, 0.25], 1, 0.75)
    assert read.residuals == (0.75, 1.0, 1.25)
    assert (read.categories, read.model_reason) == (False, "")


def test_a_reference_is_written_with_the_fields_of_version_1(folder: Path) -> None:
    golden = json.loads((folder / "reference.json").read_text())
    storing.save(storing.load(folder, "ab" * 32), folder)
    again = json.loads((folder / "reference.json").read_text())
    assert list(again) == list(golden)
    assert list(again["model"]) == list(golden["model"])
    assert again["format_version"] == 1


def test_an_adaptation_of_version_1() -> None:
    """Its shift is a delay of 4 steps, which is declared as whole."""
    policy = always(1, agent="ppo", recipe_hash="0123abcd")
    entrant = Entrant("mine", 0, Path("p"), policy.card, None)
    (found,) = finding.find([GOLDEN / "adaptation_v1"], [entrant])
    assert found.contestant == "mine"
    assert found.steps == [0, 128, 256]
    ((shift, delta),) = found.context.parts
    assert (shift.name, delta, shift.value(delta)) == ("action_delay", 0.5, 4.0)
    assert str(found.name(128)) == "mine@continued:action_delay:0.5:128"


def test_an_adaptation_of_another_version_is_refused(tmp_path: Path) -> None:
    data = adaptations.read(GOLDEN / "adaptation_v1")
    (tmp_path / "adaptation.json").write_text(json.dumps({**data, "format_version": 2}))
    with pytest.raises(BadInput, match="has format_version"):
        adaptations.read(tmp_path)


def test_drift_records_have_the_columns_of_version_1() -> None:
    golden = (GOLDEN / "drift_v1.csv").read_text()
    head, *rows = golden.splitlines()
    assert drift_records.to_csv([]).splitlines() == [head]
    assert {row.partition(",")[0] for row in rows} == {str(drift_records.FORMAT_VERSION)}
    path = GOLDEN / "drift_v2.jsonl"
    journal = drift_records.read_journal(path)
    assert drift_records.to_csv(journal) == golden
    assert "".join(map(drift_records.to_line, journal)) == path.read_text()


def test_a_journal_of_version_1_does_not_say_what_it_was_lived_with() -> None:
    assert drift_records.read_journal(GOLDEN / "drift_v1.jsonl") == []

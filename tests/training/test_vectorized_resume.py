"""An interrupted training whose environments are out of reach goes on, and promises no more."""

from __future__ import annotations

from pathlib import Path

import fake_callbacks
import pytest

from rl_lab import cli, runs

assert fake_callbacks


NATIVE = ["env=FakeNativeSAME_STEP-v0", "env.imports=[fakes]"]


@pytest.mark.filterwarnings("ignore:training.vectorization=envpool")
@pytest.mark.parametrize(("way", "more"), [("subprocess", []), ("envpool", []), ("native", NATIVE)])
def test_a_training_out_of_reach_goes_on_and_says_that_it_is_not_exact(
    way: str,
    more: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "agent=a2c", "tuned=none", "logger=none", "training.n_envs=2"]
    words += [f"training.vectorization={way}", "training.selection_every_steps=0", *more]
    words += ["training.steps=400", "+callback.mine={_target_: fake_callbacks.InterruptOnce}"]
    assert cli.main(words) == 75
    (card,) = tmp_path.rglob("run.json")
    assert runs.read(card.parent)["resume"]["level"] == "equivalent"
    assert cli.main(words) == 0
    errors = capsys.readouterr().err
    assert "continuing from step" in errors
    assert f"training.vectorization={way} keeps environments' states out of reach" in errors
    assert runs.read(card.parent)["steps"] == 400

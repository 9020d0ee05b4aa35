"""Whatever goes wrong in a training ends in one clear line, and loses nothing."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import fakes
import gymnasium
import numpy as np
import pytest
from identical import attempt, dying_at, require_identical, run_in

from rl_lab import adaptations, checkpoints, cli, freezing, runs
from rl_lab.checkpoints import tensors
from rl_lab.cli import adapting, config, training_sections
from rl_lab.cli.options import split
from rl_lab.errors import EnvironmentFault
from rl_lab.training.adapting import adapt
from rl_lab.training.recorder import Recorder

SMALL = [
    "tuned=none",
    "monitoring=none",
    "agent=ppo",
    "agent.n_steps=32",
    "agent.batch_size=32",
    "agent.n_epochs=1",
]
WORDS = [*SMALL, "training.steps=256", "checkpoint.every_steps=64", "training.selection_episodes=1"]
MENDED = "MENDED_ENVIRONMENT"


class Late(fakes.Countdown):
    """Does something wrong at its 150th step, until it is mended."""

    def __init__(self, fault: str = "none", render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.fault, self.total = fault, 0

    def step(self, action: Any) -> Any:
        self.total += 1
        observation, reward, terminated, truncated, info = super().step(action)
        if self.total == 150 and MENDED not in os.environ:
            if self.fault == "raise":
                raise RuntimeError("the motor is on fire")
            if self.fault == "nan observation":
                observation = observation * np.nan
            if self.fault == "infinite reward":
                reward = np.inf
            if self.fault == "shape":
                observation = np.zeros(3, np.float32)
            if self.fault == "hang":
                time.sleep(600)
            if self.fault == "no reward":
                reward = None
        return observation, reward, terminated, truncated, info


class NoReset(fakes.Countdown):
    """Cannot even be reset."""

    def reset(self, **keywords: Any) -> Any:
        raise ValueError("no key in the ignition")


class Picky(fakes.Countdown):
    """Hangs in the episodes of a selection alone."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None and seed >= 1_000_000_000:
            time.sleep(600)
        return super().reset(seed=seed, options=options)


class Stuck(fakes.Countdown):
    """Hangs at its first step, so in whatever is tried before the training."""

    def step(self, action: Any) -> Any:
        time.sleep(600)


class Clock(fakes.Countdown):
    """Looks at the clock."""

    def _observation(self) -> np.ndarray:
        return super()._observation() + np.float32(time.perf_counter() % 1)


_KINDS = {"Clock": Clock, "Late": Late, "NoReset": NoReset, "Picky": Picky, "Stuck": Stuck}
for _name, _kind in {f"Fake{name}-v0": kind for name, kind in _KINDS.items()}.items():
    if _name not in gymnasium.registry:
        gymnasium.register(_name, entry_point=_kind)

FAULTS = {
    "raise": "raised RuntimeError: the motor is on fire",
    "nan observation": "returned an observation with NaN or infinite values",
    "infinite reward": "returned the reward inf",
    "shape": "returned an observation of shape (3,) instead of (2,)",
    "no reward": "raised TypeError",
    "hang": "has not answered for 1 s",
}


def complaints(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.startswith("rl-lab: ")]
    return [line for line in lines if not line.startswith("rl-lab: warning")]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_and_a_report(
    fault: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [*WORDS, "env=FakeLate-v0", f"env.kwargs.fault='{fault}'", f"output={tmp_path}"]
    words += ["answer_within_s=1"] if fault == "hang" else []
    assert cli.main(["train", *words]) == 1
    errors = complaints(capfd.readouterr().err)
    assert len(errors) == 1
    assert FAULTS[fault] in errors[0]
    run = run_in(tmp_path)
    assert runs.status(run) == "failed"
    report = json.loads((run / "crash" / "crash.json").read_text())
    assert FAULTS[fault] in report["error"]
    assert "Traceback" in report["traceback"]
    assert report["checkpoint"] == 128
    arrays = tensors.read(run / "crash" / "transitions.safetensors")
    assert len(arrays["actions"]) == len(arrays["rewards"]) >= 99
    assert checkpoints.newest(run / "checkpoints", {})[0] is not None


@pytest.mark.parametrize("hangs", ["FakePicky-v0", "FakeStuck-v0"])
def test_a_hang_in_a_selection_or_in_the_first_try_is_a_fault_like_any(
    hangs: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [*WORDS, f"env={hangs}", f"output={tmp_path}", "answer_within_s=1"]
    assert cli.main(["train", *words, "training.selection_every_steps=64"]) == 1
    (error,) = complaints(capfd.readouterr().err)
    text = f"environment {hangs} has not answered for 1 s"
    assert text in error
    run = run_in(tmp_path)
    card = runs.read(run)
    assert (card["status"], text in card["error"]) == ("failed", True)
    if hangs == "FakeStuck-v0":
        assert card["resume"]["reasons"] == ["the environment fails when it is tried (no answer)"]
    report = json.loads((run / "crash" / "crash.json").read_text())
    assert text in report["error"]
    assert report["checkpoint"] == (64 if hangs == "FakePicky-v0" else None)


def test_a_hang_in_the_first_try_is_tried_again_once_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*WORDS, "env=FakeStuck-v0", f"output={tmp_path}", "answer_within_s=1"]
    assert cli.main(["train", *words]) == 1
    monkeypatch.setattr(Stuck, "step", fakes.Countdown.step)
    assert cli.main(["train", *words]) == 0
    card = runs.read(run_in(tmp_path))
    assert (card["status"], card["resume"]["level"], card["error"]) == ("complete", "exact", None)
    assert not (run_in(tmp_path) / "crash").exists()


def test_a_hang_while_adapting_is_noticed_and_mended_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MENDED, "1")
    words = [*WORDS, "env=FakeLate-v0", "env.kwargs.fault=hang", f"output={tmp_path}"]
    assert cli.main(["train", *words, "training.selection_every_steps=0"]) == 0
    data = config.compose(
        "adapt",
        [
            "shifts=any/observation_noise",
            "steps=256",
            "snapshots=2",
            "scratch=false",
            "checkpoint.every_steps=64",
            "answer_within_s=1",
            f"output={tmp_path}",
        ],
        split([])[0],
    )
    (piece,) = adapting.pieces(run_in(tmp_path), data, split([])[0])
    make_agent = training_sections.make_agent(piece.agent)
    monkeypatch.delenv(MENDED)
    with pytest.raises(EnvironmentFault, match="FakeLate-v0 has not answered for 1 s"):
        adapt(piece.plan, make_agent, freezing.freeze)
    card = adaptations.read(piece.plan.folder)
    assert (card["status"], "has not answered" in card["error"]) == ("failed", True)
    assert (piece.plan.folder / "crash" / "crash.json").is_file()
    monkeypatch.setenv(MENDED, "1")
    assert adapt(piece.plan, make_agent, freezing.freeze).status == "complete"
    assert adaptations.read(piece.plan.folder)["resume"]["from_step"] == 128


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked processes")
def test_once_mended_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*WORDS, "env=FakeLate-v0", "env.kwargs.fault=raise"]
    assert attempt([*words, f"output={tmp_path / 'a'}"]) == 1
    monkeypatch.setenv(MENDED, "1")
    assert attempt([*words, f"output={tmp_path / 'a'}"]) == 0
    assert attempt([*words, f"output={tmp_path / 'b'}"]) == 0
    require_identical(run_in(tmp_path / "a"), run_in(tmp_path / "b"))


def test_an_environment_that_cannot_be_reset_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", *WORDS, "env=FakeNoReset-v0", f"output={tmp_path}"]) == 1
    errors = complaints(capfd.readouterr().err)
    assert len(errors) == 1
    assert "no key in the ignition" in errors[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked processes")
def test_an_environment_that_never_repeats_itself_begins_anew(tmp_path: Path) -> None:
    words = [*WORDS, "env=FakeClock-v0", f"output={tmp_path}"]
    assert attempt(words, lambda: dying_at(Recorder, "boundary", 6)) == -signal.SIGKILL
    assert attempt(words) == 0
    resume = runs.read(run_in(tmp_path))["resume"]
    assert (resume["level"], resume["environment_state"]) == ("equivalent", "reset")
    assert resume["from_step"] == 128
    assert "does not repeat itself" in resume["reasons"][0]


@pytest.mark.parametrize("agent", ["ppo", "dqn"])
def test_weights_that_explode_are_not_saved(
    agent: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [
        "tuned=none",
        "monitoring=none",
        f"agent={agent}",
        "agent.learning_rate=1e30",
        f"output={tmp_path}",
    ]
    words += ["training.steps=400", "checkpoint.every_steps=32", "agent.max_grad_norm=1e30"]
    words += [*SMALL[3:]] if agent == "ppo" else ["agent.learning_starts=100"]
    assert cli.main(["train", *words]) == 1
    errors = complaints(capfd.readouterr().err)
    assert len(errors) == 1
    assert "is not finite after" in errors[0]
    run = run_in(tmp_path)
    assert (run / "crash" / "crash.json").is_file()
    found, skipped = checkpoints.newest(run / "checkpoints", {})
    assert skipped == []
    for name, array in found.state().arrays.items() if found else ():
        if name.startswith("weights"):
            assert np.isfinite(array).all(), name

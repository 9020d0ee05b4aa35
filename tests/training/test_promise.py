"""`exact` is claimed only where nothing is lost; what is lost is named."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import fake_callbacks
import fake_parts
import pytest
from identical import attempt, dying_at, require_identical, run_in

from rl_lab import cli, runs, states
from rl_lab.training.recorder import Recorder

assert fake_callbacks, fake_parts
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked processes")

WORDS = "agent=ppo env=CartPole-v1 tuned=none monitoring=none training.steps=320 logger=none"
WORDS += " agent.n_steps=32 agent.batch_size=32 agent.n_epochs=1 checkpoint.every_steps=64"
WORDS += " agent.policy_kwargs.net_arch=[16] training.selection_every_steps=0"


def words_of(*more: str) -> list[str]:
    return [*WORDS.split(), *more]


def callback(name: str) -> str:
    return f"+callback.mine={{_target_: fake_callbacks.{name}}}"


LOSING = {
    "a lambda": (callback("WithLambda"), "fake_callbacks.WithLambda.next (a function)"),
    "a socket": (callback("WithSocket"), "fake_callbacks.WithSocket.line (a socket"),
    "a later one": (callback("Late"), "fake_callbacks.Late.line (a socket"),
    "a wrapper's socket": (
        "training.wrappers=[{name: fake_parts.Wired}]",
        "fake_parts.Wired.line (a socket",
    ),
    "an algorithm's": (
        "agent.algorithm=fake_parts.AnnealedWithSocket",
        "fake_parts.AnnealedWithSocket.tool (a socket",
    ),
}


@pytest.mark.parametrize("case", LOSING)
def test_what_no_file_can_hold_lowers_the_promise_and_is_named(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    word, what = LOSING[case]
    assert cli.main(["train", *words_of(word), f"output={tmp_path}"]) == 0
    told = capfd.readouterr().err
    assert f"resume: equivalent, not exact, as no checkpoint holds {what}" in told
    resume = runs.read(run_in(tmp_path))["resume"]
    assert resume["level"] == "equivalent"
    assert what in resume["reasons"][0]


KEEPING = {
    "plain": callback("Counting"),
    "code": callback("WithCode"),
    "declared": callback("Declared"),
    "wrapper": "training.wrappers=[{name: fake_parts.Bonus}]",
    "algorithm": "agent.algorithm=fake_parts.Annealed",
    "policy": "agent.policy=fake_parts.Scaling",
}


@pytest.mark.parametrize("case", KEEPING)
def test_state_of_ones_own_goes_on_exactly(case: str, tmp_path: Path) -> None:
    words = words_of(KEEPING[case])
    assert attempt([*words, f"output={tmp_path / 'a'}"]) == 0
    killed = [*words, f"output={tmp_path / 'b'}"]
    for boundary in (7, 4):
        arm = lambda: dying_at(Recorder, "boundary", boundary)  # noqa: B023, E731
        assert attempt(killed, arm) == -signal.SIGKILL
    assert attempt(killed) == 0
    require_identical(run_in(tmp_path / "a"), run_in(tmp_path / "b"))
    resume = runs.read(run_in(tmp_path / "b"))["resume"]
    assert (resume["level"], resume["reasons"]) == ("exact", [])
    assert resume["from_step"] > 0


@pytest.mark.parametrize("kind", ["Prioritised: {floor: 0.2}", "Shelf: {}"])
def test_a_replay_buffer_of_ones_own_goes_on_exactly(kind: str, tmp_path: Path) -> None:
    words = ["env=CartPole-v1", "agent=dqn", "tuned=none", "monitoring=none", "training.steps=320"]
    words += ["agent.learning_starts=50", "agent.batch_size=16", "agent.buffer_size=400"]
    words += ["agent.policy_kwargs.net_arch=[16]", "checkpoint.every_steps=64"]
    words += ["training.selection_every_steps=0", f"agent.replay_buffer={{fake_parts.{kind}}}"]
    assert attempt([*words, f"output={tmp_path / 'a'}"]) == 0
    killed = [*words, f"output={tmp_path / 'b'}"]
    for boundary in (50, 30):
        arm = lambda: dying_at(Recorder, "boundary", boundary)  # noqa: B023, E731
        assert attempt(killed, arm) == -signal.SIGKILL
    assert attempt(killed) == 0
    require_identical(run_in(tmp_path / "a"), run_in(tmp_path / "b"))
    resume = runs.read(run_in(tmp_path / "b"))["resume"]
    assert (resume["level"], resume["reasons"]) == ("exact", [])
    assert resume["from_step"] > 0


def test_objects_made_on_the_way_are_missed_when_they_cannot_be_put_back(tmp_path: Path) -> None:
    words = [*words_of(callback("Noting")), f"output={tmp_path}"]
    assert attempt(words, lambda: dying_at(Recorder, "boundary", 7)) == -signal.SIGKILL
    assert attempt(words) == 0
    resume = runs.read(run_in(tmp_path))["resume"]
    assert resume["level"] == "equivalent"
    (reason,) = resume["reasons"]
    assert reason == "no checkpoint holds fake_callbacks.Note (made in the course of the training)"


def test_functions_that_can_be_imported_are_code() -> None:
    assert states.is_code(os.path.join)
    assert states.is_code(Path)
    assert not states.is_code(lambda: 0)
    assert not states.is_code(Path().exists)

"""One trial: what its value is, and that nobody else's work is taken for a failure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_lab.errors import Failed
from rl_lab.search import trials


@dataclasses.dataclass
class Scripted:
    """A training that ends as it is told to."""

    folder: Path
    status: str | None
    worth: float = 0.0
    stopped: bool = False

    def poll(self) -> str | None:
        return self.status

    def reason(self) -> str:
        return "it burned"

    def value(self) -> float:
        return self.worth

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_ASK_AGAIN_S", 0.0)


def run(given: Iterator[Scripted], seeds: int = 1, stopping: bool = False) -> trials.Result:
    return trials.run(
        lambda seed: next(given), range(seeds), "mean", lambda *_: False, lambda: stopping
    )


def test_a_run_that_another_process_holds_is_waited_for(tmp_path: Path) -> None:
    statuses = ["held", "held", "complete"]
    given = iter([Scripted(tmp_path, s, worth=3.0) for s in statuses])
    assert run(given).returns == (3.0,)
    assert next(given, None) is None


def test_the_wait_ends_when_the_worker_is_stopped(tmp_path: Path) -> None:
    held = Scripted(tmp_path, "held")
    with pytest.raises(trials.Stopped):
        run(iter([held]), stopping=True)
    assert held.stopped


def test_how_trainings_end(tmp_path: Path) -> None:
    with pytest.raises(trials.Stopped):
        run(iter([Scripted(tmp_path, "interrupted")]))
    with pytest.raises(Failed, match="it burned"):
        run(iter([Scripted(tmp_path, "complete"), Scripted(tmp_path, "failed")]), seeds=2)
    ends = iter([Scripted(tmp_path, "complete", 1.0), Scripted(tmp_path, "complete", 4.0)])
    assert run(ends, seeds=2).returns == (1.0, 4.0)


def test_selection_reads_whole_lines_of_the_log(tmp_path: Path) -> None:
    assert trials.selection(tmp_path) == []
    points = [{"step": 1, "eval/mean_reward": 2.5}, {"step": 2, "train/loss": 1.0}]
    lines = [json.dumps({**p, "time_s": 0.0}) for p in points]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 3, "eval/mean_re')
    assert trials.selection(tmp_path) == [2.5]


def test_a_reported_return_is_reported_once(tmp_path: Path) -> None:
    told: list[tuple[float, int]] = []
    line = json.dumps({"step": 1, "time_s": 0.0, "eval/mean_reward": 2.0})
    (tmp_path / "metrics.jsonl").write_text(f"{line}\n")
    training = Scripted(tmp_path, "complete", 5.0)

    def report(value: float, place: int) -> bool:
        told.append((value, place))
        return False

    trials.run(lambda seed: training, [0, 1], "worst", report, lambda: False)
    assert told == [(2.0, 1), (2.0, 2)]

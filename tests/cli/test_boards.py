"""What an evaluation leaves for TensorBoard, of a stored one that has every block."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from boards import steps_of
from tensorboard.backend.event_processing import event_accumulator

from rl_lab.cli import boards
from rl_lab.tracking import tags

GOLDEN = Path(__file__).parents[1] / "golden" / "scores_v2" / "scores.json"


@pytest.fixture(scope="module")
def scores() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


def values_of(folder: Path, tag: str) -> list[tuple[int, float]]:
    log = event_accumulator.EventAccumulator(str(folder))
    log.Reload()
    return [(event.step, event.value) for event in log.Scalars(tag)]


def test_all_four_blocks_of_adaptability_are_there(scores: dict[str, Any], tmp_path: Path) -> None:
    boards.write(tmp_path, scores, None)
    firsts = {tag.partition("/")[0] for _, tag in steps_of(tmp_path)}
    assert {tags.ROBUSTNESS, tags.GENERALISATION, tags.DRIFT, tags.ADAPTATION} <= firsts


def test_generalisation_is_a_line_from_home_to_far(scores: dict[str, Any], tmp_path: Path) -> None:
    boards.write(tmp_path, scores, None)
    contestant = next(c for c in scores["contestants"] if c["generalisation"])
    block = contestant["generalisation"]
    known = [block["scores"][key] for key in ("nominal", "near", "far")]
    expected = [(step, s["estimate"]) for step, s in enumerate(known) if s is not None]
    found = values_of(tmp_path, tags.generalisation_tag(contestant["name"], "score"))
    assert [step for step, _ in found] == [step for step, _ in expected]
    assert [v for _, v in found] == pytest.approx([v for _, v in expected])


def test_charts_of_absent_blocks_are_left_out(scores: dict[str, Any]) -> None:
    def patterns(blocks: dict[str, Any]) -> str:
        stripped = [{**c, **blocks} for c in scores["contestants"]]
        layout = boards._layout({**scores, "contestants": stripped})
        return str(layout["3 How well does it adapt?"])

    assert "adaptation/" in patterns({})
    assert "generalisation/" in patterns({})
    assert "generalisation/" not in patterns({"generalisation": None})
    assert "adaptation/" not in patterns({"adaptation": None})

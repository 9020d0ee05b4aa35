from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import always, linear_policy, saved
from frozen_policy.crafting import edit
from identical import die, forked

from rl_lab import frozen_policy
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import actions_differ, fields, load_policy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(always(1), tmp_path / "policy")


def test_it_acts_as_worked_out_by_hand(tmp_path: Path) -> None:
    # Scores are x and y + 1: action 1 wherever y + 1 > x.
    policy = linear_policy("FakeCountdown-v0", [[1, 0], [0, 1]], [0, 1])
    loaded = load_policy(saved(policy, tmp_path / "p"))
    observations = np.array([[3, 1], [1, 3], [2, 1.5]], np.float32)
    assert [int(loaded.act(o)[0]) for o in observations] == [0, 1, 1]
    assert loaded.act_batch(observations)[0].tolist() == [0, 1, 1]


def test_a_run_folder_stands_for_its_final_policy(tmp_path: Path) -> None:
    saved(always(1), tmp_path / "run" / "policy")
    assert load_policy(tmp_path / "run").card.agent == "linear"


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = saved(always(1), tmp_path / "a"), saved(always(1), tmp_path / "b")
    for name in ("policy.json", "policy.onnx"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_saving_over_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(BadInput, match=r"holds other files: thesis\.tex"):
        frozen_policy.save(always(1), tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize("name", ["policy.json", "policy.onnx"])
def test_saving_goes_on_where_a_process_died_while_it_saved(tmp_path: Path, name: str) -> None:
    policy = always(1)

    def save_and_die() -> int:
        def replace(source: Any, target: Any) -> None:
            real(source, target) if Path(target).name != name else die()

        real = os.replace
        os.replace = replace
        frozen_policy.save(policy, tmp_path / "p")
        return 0

    assert forked(save_and_die) == -signal.SIGKILL
    assert any(p.name.startswith(f".{name}.") for p in (tmp_path / "p").iterdir())
    saved(policy, tmp_path / "p")
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == ["policy.json", "policy.onnx"]


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 2), (2, 1), ()])
def test_another_shape_is_refused(folder: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="observation of shape"):
        load_policy(folder).act(np.zeros(shape, np.float32))


@pytest.mark.parametrize("given", [np.array(["a", "b", "c", "d"]), "abcd", None, {"a": 1}])
def test_what_is_no_numbers_is_refused_by_its_type(folder: Path, given: Any) -> None:
    with pytest.raises(BadInput, match=r"observation of the type .*expected numbers"):
        load_policy(folder).act(given)


def test_a_list_is_as_good_as_an_array(folder: Path) -> None:
    assert load_policy(folder).act([0.0, 1.0])[0] == 1


def test_a_changed_graph_is_refused(folder: Path) -> None:
    graph = bytearray((folder / "policy.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (folder / "policy.onnx").write_bytes(graph)
    with pytest.raises(BadInput, match="not the file its card was written for"):
        load_policy(folder)


def test_golden_actions_must_come_again(folder: Path) -> None:
    golden = json.loads((folder / "policy.json").read_text())["golden"]
    edit(folder, golden={**golden, "actions": [0, *golden["actions"][1:]]})
    with pytest.raises(BadInput, match="1 of 8 actions differ"):
        load_policy(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "something else"}, "not the card"),
        ({"format_version": 2}, "format_version 2"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_foreign_card_is_refused(folder: Path, changes: dict[str, Any], words: str) -> None:
    edit(folder, **changes)
    with pytest.raises(BadInput, match=words):
        load_policy(folder)


def test_a_missing_field_is_named(folder: Path) -> None:
    data = json.loads((folder / "policy.json").read_text())
    del data["golden"]
    (folder / "policy.json").write_text(json.dumps(data))
    with pytest.raises(BadInput, match="golden"):
        load_policy(folder)


def test_an_empty_folder_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no frozen policy"):
        load_policy(tmp_path)


MASKED = Path(__file__).resolve().parents[1] / "golden" / "frozen_policy_v1_masked_dict"


def test_predict_takes_the_mask_of_one_decision() -> None:
    policy = load_policy(MASKED)
    observation = policy.observation_space.sample()
    width = frozen_policy.mask_width(policy.card.action_space)
    for allowed in range(width):
        mask = np.arange(width) == allowed
        action, _ = policy.predict(observation, action_masks=mask)
        assert int(action) == allowed == int(policy.act(observation, policy.reset(), mask)[0])
        batch = {key: np.stack([part] * 3) for key, part in observation.items()}
        many, _ = policy.predict(batch, action_masks=np.stack([mask] * 3))
        assert many.tolist() == [allowed] * 3
    with pytest.raises(BadInput, match="no action mask"):
        policy.predict(observation)


def test_a_state_or_a_mask_that_nothing_would_heed_is_refused(folder: Path) -> None:
    policy, observation = load_policy(folder), np.zeros(2, np.float32)
    for nothing in ((), None, []):
        assert policy.act(observation, nothing)[0] == 1
    with pytest.raises(BadInput, match="1 state arrays"):
        policy.act(observation, (np.zeros((1, 4), np.float32),))
    with pytest.raises(BadInput, match="4 state arrays"):
        policy.act(observation, np.zeros(4))
    mask = np.ones(2, bool)
    for act in (
        lambda: policy.act(observation, (), mask),
        lambda: policy.act_batch(observation[None], (), mask[None]),
        lambda: policy.predict(observation, action_masks=mask),
    ):
        with pytest.raises(BadInput, match="trained without masks"):
            act()


class Unit:
    low, high = np.array([-2.0]), np.array([2.0])


def test_box_actions_may_differ_by_rounding_only() -> None:
    one = np.array([[1.0]], np.float32)
    assert actions_differ(Unit, one, one + 1e-5) == ""
    assert "1.0e-03 of the action range" in actions_differ(Unit, one, one + 4e-3)


def test_without_bounds_an_action_is_its_own_measure() -> None:
    class Unbounded:
        low, high = np.array([-np.inf, -3.4e38]), np.array([np.inf, 3.4e38])

    one = np.array([[100.0, 0.0]], np.float32)
    assert actions_differ(Unbounded, one, one * 1.000001) == ""
    assert actions_differ(Unbounded, one + 1.0, one) != ""
    assert actions_differ(Unbounded, one * np.nan, one) != ""


def test_a_card_without_its_hash_is_read(folder: Path) -> None:
    path = folder / "policy.json"
    data = json.loads(path.read_text())
    assert len(data.pop("card_sha256")) == 64
    path.write_text(json.dumps(data))
    assert load_policy(folder).card.agent == "linear"


def test_saving_refuses_what_loading_would_refuse(tmp_path: Path) -> None:
    policy = always(1, agent="red\x1b[31m")
    with pytest.raises(BadInput, match=r"rule 5 .*agent"):
        frozen_policy.save(policy, tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_remarks_are_made_readable_rather_than_lose_a_training() -> None:
    remarks = {"a\x1b": ["b\x00c", {"d": "x" * 3000}], "e": 1.5, "f": None}
    found = fields.readable(remarks)
    assert found == {"a?": ["b?c", {"d": "x" * 1997 + "..."}], "e": 1.5, "f": None}
    fields._check_provenance(found)


def test_what_cannot_be_told_is_written_as_null(tmp_path: Path) -> None:
    policy = always(1, provenance={"speed": float("nan")})
    assert load_policy(saved(policy, tmp_path / "p")).card.provenance == {"speed": None}


def test_loading_and_acting_need_no_training_library(folder: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'stable_baselines3', 'sb3_contrib', 'hydra', 'omegaconf'):\n"
        "    sys.modules[name] = None\n"
        "import numpy, rl_lab\n"
        f"policy = rl_lab.load_policy({str(folder)!r})\n"
        "print(int(policy.act(numpy.zeros(2, 'float32'))[0]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"

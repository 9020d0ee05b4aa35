"""Every malicious input of the project's list of 75 that can reach a frozen policy.

`ATTACKS`, filled by the modules `attacks_*`, names each case with its number in the list; those
that cannot apply stand here with the reason.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fakes import always, saved
from frozen_policy import attacks_bombs, attacks_card, attacks_files, attacks_graph
from frozen_policy.attacking import ATTACKS, Payload, canary
from frozen_policy.crafting import edit, edit_graph, put_graph

from rl_lab.errors import BadInput
from rl_lab.frozen_policy import load_policy
from rl_lab.frozen_policy.graph import OPERATORS
from rl_lab.frozen_policy.rules import Rule

LISTED_IN = (attacks_bombs, attacks_card, attacks_files, attacks_graph)
NO_ARCHIVE = "a frozen policy is a folder; nothing is unpacked and no name is read from a file"
NO_OFFSETS = "protobuf has no table of offsets; every byte belongs to one field, which is walked"
NOT_APPLICABLE = {
    **dict.fromkeys((10, 11, 12, 15, 16, 17, 18, 19), NO_ARCHIVE),
    **dict.fromkeys((24, 25), NO_OFFSETS),
    41: "normalisation is arithmetic inside the graph; golden vectors are what proves it",
    **dict.fromkeys((58, 59, 60, 61, 62, 63, 65), "configuration and the command line"),
    **dict.fromkeys((66, 67, 68, 69, 70, 71), "logs and reports"),
    **dict.fromkeys((72, 73, 74, 75), "live environments"),
}
HERE = {6, 20, 32}  # tests of their own below


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(always(1), tmp_path / "policy")


def test_every_number_is_tried_or_has_a_reason() -> None:
    tried = {int(name.split()[0]) for name in ATTACKS} | HERE
    assert tried & set(NOT_APPLICABLE) == set()
    assert tried | set(NOT_APPLICABLE) == set(range(1, 76))


def test_every_rule_is_broken_by_some_attack() -> None:
    # onnx's checker and onnxruntime come last; what gets that far is refused as it comes.
    assert set(Rule) - {rule for rule, _ in ATTACKS.values()} <= {Rule.RUNTIME}


@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_refused_by_its_rule(name: str, folder: Path) -> None:
    rule, make = ATTACKS[name]
    make(folder)
    start = time.process_time()
    with pytest.raises(BadInput) as caught:
        load_policy(folder)
    assert time.process_time() - start < 2.0
    assert f"rule {rule.value} of frozen policies" in caught.value.came, str(caught.value)
    assert str(folder) in caught.value.came
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 800
    assert not canary(folder).exists()


def test_6_a_payload_in_weights_stays_numbers(folder: Path) -> None:
    payload = pickle.dumps(Payload(canary(folder)))
    payload += b"\0" * (-len(payload) % 4)
    weights = np.nan_to_num(np.frombuffer(payload, np.float32))

    def change(model: object) -> None:
        tensor = model.graph.initializer.add()  # type: ignore[attr-defined]
        tensor.name, tensor.data_type = "unused", 1
        tensor.dims.append(len(weights))
        tensor.raw_data = weights.tobytes()

    edit_graph(folder, change)
    assert load_policy(folder).act(np.zeros(2, np.float32))[0] == 1
    assert not canary(folder).exists()


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "policy\u202e", "", "a\nb"])
def test_20_a_strange_path_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        load_policy(tmp_path / "none" / name)


def test_32_what_was_checked_is_what_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = os.open

    def swapping(path: str, *rest: int, **words: int) -> int:
        opened.append(Path(path).name)
        handle = original(path, *rest, **words)
        # Whoever changes the file after it was opened changes nothing.
        Path(path).unlink()
        Path(path).write_bytes(b"other")
        return handle

    monkeypatch.setattr(os, "open", swapping)
    assert load_policy(folder).act(np.zeros(2, np.float32))[0] == 1
    assert opened == ["policy.json", "policy.onnx"]


def test_48_a_linked_policy_of_a_run_is_refused(tmp_path: Path) -> None:
    saved(always(1), tmp_path / "elsewhere")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "policy").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=r"rule 1 of .*symbolic link"):
        load_policy(tmp_path / "run")
    # The user's own path may be a link: whoever gives it knows where it leads.
    assert load_policy(tmp_path / "run" / "policy").card.agent == "linear"


def test_other_files_in_the_folder_are_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "weights.bin").symlink_to("/dev/zero")
    assert load_policy(folder).card.agent == "linear"


def test_an_unreadable_folder_is_refused(folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (folder / "policy.onnx").chmod(0)
    with pytest.raises(BadInput, match="Permission denied"):
        load_policy(folder)


def test_what_only_onnxruntime_finds_is_refused_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rl_lab.frozen_policy import graph

    monkeypatch.setattr(graph, "check", lambda data, card: None)
    put_graph(folder, b"no graph at all")
    with pytest.raises(BadInput, match=r"rule 20 of .*runtime"):
        load_policy(folder)


def test_a_module_in_an_environment_id_is_not_imported(folder: Path) -> None:
    (folder.parent / "evil_module.py").write_text("raise SystemExit('it was imported')")
    edit(folder, environment={"id": "evil_module:Env-v0"})
    code = f"import rl_lab; rl_lab.load_policy({str(folder)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder.parent, check=False
    )
    assert "BadInput" in done.stderr
    assert "imported" not in done.stderr


BOMBS = [
    "23 million nodes",
    "33 deep lists",
    "34 large",
    "34 many lists",
    "34 as many numbers as fit",
    "37 long sequence",
    "37 products",
    "38 a terabyte",
    "38 as many nodes as fit",
    "38 enormous",
    "38 file of 10 GB",
    "38 one hot",
    "38 outer product",
    "38 power of the batch",
    "42 texts of one long",
]
GUARDED = """
import resource, sys
import numpy, rl_lab.frozen_policy
from rl_lab.errors import BadInput
limit = 512 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for folder in sys.argv[1:]:
    try:
        rl_lab.load_policy(folder)
    except BadInput as error:
        print(error.came.split("frozen policies")[0].split()[-2])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS binds on Linux only")
def test_bombs_stay_within_half_a_gigabyte(folder: Path) -> None:
    places, rules = [], []
    for name in BOMBS:
        rule, make = ATTACKS[name]
        places.append(folder.parent / name)
        rules.append(str(rule.value))
        shutil.copytree(folder, places[-1])
        make(places[-1])
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, *map(str, places)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stdout.split() == rules


def test_the_specification_explains_every_rule() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "frozen-policy.md").read_text()
    for rule in Rule:
        assert f"| {rule.value} {rule.name.lower().replace('_', ' ')} |" in text.lower()
    assert f"| {len(Rule) + 1} " not in text
    assert {name for name in OPERATORS if f"`{name}`" not in text} == set()

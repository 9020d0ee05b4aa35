"""A checkpoint is whole or it is not used."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as drawn

from rl_lab import checkpoints
from rl_lab.checkpoints import Keep, layout, tensors, writing
from rl_lab.errors import BadInput, Failed
from rl_lab.states import Ring, State, StateMismatch

FACTS = {"recipe_hash": "abc", "seed": 3}


def state_of(step: int, rows: int = 0, capacity: int = 8) -> State:
    arrays = {"w": np.full((2, 3), step, np.float32), "n": np.array(step)}
    rings = {"replay": ring_of(rows, capacity)} if rows else {}
    return State({"progress": {"steps": step}}, arrays, rings)


def ring_of(written: int, capacity: int) -> Ring:
    """A ring in whose row for the k-th write there is k."""
    values = np.zeros((capacity, 2), np.int64)
    for k in range(written):
        values[k % capacity] = k
    return Ring({"values": values, "more": values[:, 0].astype(np.float32)}, written)


def written(root: Path, *steps: int) -> list[checkpoints.Checkpoint]:
    return [checkpoints.write(root, s, state_of(s), FACTS, {}) for s in steps]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    best = tmp_path / "run" / "best"
    best.mkdir(parents=True)
    (best / "policy.onnx").write_bytes(b"graph")
    made = checkpoints.write(tmp_path / "c", 12, state_of(12, 5), FACTS, {"best": best})
    assert made.folder.name == "step-000000012"
    read = checkpoints.opened(made.folder, FACTS)
    assert read.manifest == made.manifest
    state = read.state()
    assert state.data == {"progress": {"steps": 12}}
    np.testing.assert_array_equal(state.arrays["w"], np.full((2, 3), 12, np.float32))
    assert state.arrays["n"].shape == ()
    assert (made.folder / "best" / "policy.onnx").read_bytes() == b"graph"


@pytest.mark.parametrize(
    ("writes", "capacity"),
    [([3, 5], 8), ([3, 8], 8), ([3, 11], 8), ([7, 9, 9, 15], 8), ([5, 40], 8), ([8, 16, 17], 8)],
)
def test_a_ring_comes_back_from_its_pieces(
    tmp_path: Path, writes: list[int], capacity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_CHUNK_BYTES", 60)  # a few rows each
    previous = None
    for step, rows in enumerate(writes):
        state = state_of(step, rows, capacity)
        previous = checkpoints.write(tmp_path, step, state, FACTS, {}, previous)
        # Older checkpoints can go: a piece is a file of each that uses it.
        checkpoints.prune(tmp_path, Keep(1, False, 0), {})
        stored = checkpoints.opened(previous.folder, FACTS).state().rings["replay"]
        target = {k: np.zeros_like(v) for k, v in ring_of(rows, capacity).arrays.items()}
        stored.copy_into(target)
        assert stored.written == rows
        for name, array in ring_of(rows, capacity).arrays.items():
            np.testing.assert_array_equal(target[name], array)


def unsealed(manifest: dict[str, Any], name: str) -> None:
    del manifest["files"][name]


def elsewhere(manifest: dict[str, Any], name: str) -> None:
    manifest["rings"]["replay"]["chunks"][0]["file"] = f"../{name}"
    manifest["files"][f"../{name}"] = manifest["files"].pop(name)


CHUNK = "replay-000000000000-000000000004.safetensors"


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        (unsealed, "state.json", "does not vouch for state.json"),
        (unsealed, "arrays.safetensors", "does not vouch for arrays.safetensors"),
        (unsealed, CHUNK, f"does not vouch for {CHUNK}"),
        (elsewhere, CHUNK, f"names '../{CHUNK}', no file of its own"),
    ],
)
def test_a_manifest_vouches_for_all_that_is_read(
    change: Callable[[dict[str, Any], str], None], name: str, said: str, tmp_path: Path
) -> None:
    folder = checkpoints.write(tmp_path, 1, state_of(1, 3), FACTS, {}).folder
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    shutil.copy(folder / name, tmp_path / name)
    change(manifest, name)
    path.write_text(json.dumps({**manifest, "seal": layout.seal(manifest)}))
    with pytest.raises(checkpoints.Damaged, match=re.escape(said)):
        checkpoints.opened(folder, FACTS)


def test_only_new_rows_are_written(tmp_path: Path) -> None:
    first = checkpoints.write(tmp_path, 1, state_of(1, 900, 1000), FACTS, {})
    second = checkpoints.write(tmp_path, 2, state_of(2, 910, 1000), FACTS, {}, first)
    new = set(second.manifest["files"]) - set(first.manifest["files"])
    (piece,) = [name for name in new if name.startswith("replay")]
    assert second.manifest["files"][piece]["bytes"] < 600
    shared = "replay-000000000000-000000000901.safetensors"
    assert os.stat(first.folder / shared).st_ino == os.stat(second.folder / shared).st_ino


def test_a_ring_of_another_size_is_refused(tmp_path: Path) -> None:
    made = checkpoints.write(tmp_path, 1, state_of(1, 5, 8), FACTS, {})
    with pytest.raises(StateMismatch, match="8 rows"):
        made.state().rings["replay"].copy_into(ring_of(0, 9).arrays)


def test_checkpoints_of_format_version_1_are_read() -> None:
    folder = Path(__file__).parents[1] / "golden" / "checkpoint_v1"
    state = checkpoints.opened(folder, FACTS).state()
    expected = state_of(20, 11)
    assert state.data == expected.data
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(state.arrays[name], array)
    target = {k: np.zeros_like(v) for k, v in ring_of(0, 8).arrays.items()}
    state.rings["replay"].copy_into(target)
    np.testing.assert_array_equal(target["values"], ring_of(11, 8).arrays["values"])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit(path: Path) -> None:
    data = json.loads(path.read_text())
    data["step"] = 99
    path.write_text(json.dumps(data))


DAMAGES = [
    ("arrays.safetensors", cut, "bytes in arrays"),
    ("arrays.safetensors", flip, "other bytes in arrays"),
    ("arrays.safetensors", lambda p: p.write_bytes(b""), "has 0 bytes"),
    ("arrays.safetensors", Path.unlink, "lacks arrays.safetensors"),
    ("state.json", flip, "other bytes in state.json"),
    ("manifest.json", Path.unlink, "lacks manifest.json"),
    ("manifest.json", cut, "unreadable manifest"),
    ("manifest.json", edit, "was changed"),
    ("manifest.json", lambda p: p.write_text("[]"), "unreadable manifest"),
]


@pytest.mark.parametrize(("name", "damage", "reason"), DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    tmp_path: Path, name: str, damage: Any, reason: str
) -> None:
    written(tmp_path, 10, 20, 30)
    damage(tmp_path / "step-000000030" / name)
    found, skipped = checkpoints.newest(tmp_path, FACTS)
    assert found is not None
    assert found.step == 20
    (skip,) = skipped
    assert reason in skip.reason
    assert (tmp_path / "step-000000030").is_dir(), "it is not deleted"


def test_another_run_s_checkpoint_is_not_used(tmp_path: Path) -> None:
    written(tmp_path, 10)
    found, (skip,) = checkpoints.newest(tmp_path, {**FACTS, "seed": 4})
    assert found is None
    assert "another run" in skip.reason


def test_files_beside_a_checkpoint_s_own_do_no_harm(tmp_path: Path) -> None:
    (made,) = written(tmp_path, 10)
    (made.folder / "notes.txt").write_text("mine")
    assert checkpoints.newest(tmp_path, FACTS)[0] is not None


def test_a_newer_format_is_not_mistaken_for_damage(tmp_path: Path) -> None:
    (made,) = written(tmp_path, 10)
    path = made.folder / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(BadInput, match="format_version 2"):
        checkpoints.newest(tmp_path, FACTS)


@given(drawn.data())
@settings(max_examples=60, deadline=None)
def test_no_flipped_bit_goes_unnoticed(tmp_path_factory: Any, data: Any) -> None:
    root = tmp_path_factory.mktemp("bits")
    made = checkpoints.write(root, 1, state_of(1, 3), FACTS, {})
    names = sorted(p.name for p in made.folder.iterdir())
    path = made.folder / data.draw(drawn.sampled_from(names))
    content = bytearray(path.read_bytes())
    content[data.draw(drawn.integers(0, len(content) - 1))] ^= 1 << data.draw(drawn.integers(0, 7))
    before = checkpoints.opened(made.folder, FACTS).manifest
    path.write_bytes(content)
    try:
        found, skipped = checkpoints.newest(root, FACTS)
    except BadInput:
        return
    # White space of the manifest carries nothing.
    assert skipped or (found is not None and found.manifest == before)


def test_keeping(tmp_path: Path) -> None:
    written(tmp_path, *range(10, 110, 10))
    checkpoints.prune(tmp_path, Keep(2, True, 40), {30: 5.0, 60: 7.0, 70: 7.0, 100: 1.0})
    # The last two; the better of the scored ones, the later of equals; one per 40 steps.
    assert checkpoints.steps(tmp_path) == [40, 70, 80, 90, 100]


def test_a_checkpoint_that_cannot_be_deleted_is_a_complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, 10, 20, 30)

    def refuse(*unused: Any) -> None:
        raise OSError(errno.EBUSY, "in use")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    (complaint,) = checkpoints.prune(tmp_path, Keep(2, False, 0), {})
    assert "cannot delete" in complaint
    monkeypatch.undo()
    assert checkpoints.steps(tmp_path) == [20, 30]
    checkpoints.clean(tmp_path)
    assert not list(tmp_path.glob(".trash-*"))


@pytest.mark.parametrize("at", range(1, 4000, 311))
def test_a_full_disk_leaves_nothing_and_harms_nothing(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, 10)
    left = at
    real = writing._synced

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: Any) -> int:
            nonlocal left
            left -= len(bytes(data))
            if left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return int(self.file.write(data))

    class Limited:
        def __init__(self, path: Path) -> None:
            self.inner = real(path)

        def __enter__(self) -> Any:
            return Full(self.inner.__enter__())

        def __exit__(self, *why: Any) -> Any:
            return self.inner.__exit__(*why)

    monkeypatch.setattr(writing, "_synced", Limited)
    with contextlib.suppress(Failed):
        checkpoints.write(tmp_path, 20, state_of(20, 6), FACTS, {})
    assert checkpoints.steps(tmp_path) == ([10] if left < 0 else [10, 20])
    assert not list(tmp_path.glob(".tmp-*"))
    assert checkpoints.newest(tmp_path, FACTS)[1] == []


def test_too_little_room_is_seen_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(Failed, match="10 bytes are free"):
        checkpoints.write(tmp_path, 20, state_of(20), FACTS, {})


def killed_at(call: int, work: Callable[[], None]) -> bool:
    """Do some work in a process that dies at its n-th call that changes the disk; True if it did.

    Python flushes nothing and cleans nothing up, as with SIGKILL or a power cut.
    """
    child = os.fork()
    if child == 0:
        left = call

        def dying(real: Any) -> Any:
            def wrapped(*args: Any, **keywords: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **keywords)

            return wrapped

        for name in ("fsync", "rename", "mkdir", "link", "rmdir", "unlink", "open"):
            setattr(os, name, dying(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the writer is a forked process")
def test_killed_at_any_call_a_whole_checkpoint_is_left(tmp_path: Path) -> None:
    call, died = 0, True
    while died:
        call += 1
        root = tmp_path / str(call)
        previous = checkpoints.write(root, 10, state_of(10, 3), FACTS, {})
        previous = checkpoints.write(root, 20, state_of(20, 7), FACTS, {}, previous)

        def work(root: Path = root, previous: Any = previous) -> None:
            checkpoints.write(root, 30, state_of(30, 12), FACTS, {}, previous)
            checkpoints.prune(root, Keep(2, False, 0), {})

        died = killed_at(call, work)
        checkpoints.clean(root)
        assert not list(root.glob(".t*"))
        found, skipped = checkpoints.newest(root, FACTS)
        assert skipped == []
        assert found is not None
        assert found.step in (20, 30)
        target = {k: np.zeros_like(v) for k, v in ring_of(0, 8).arrays.items()}
        found.state().rings["replay"].copy_into(target)
        rows = {20: 7, 30: 12}[found.step]
        np.testing.assert_array_equal(target["values"], ring_of(rows, 8).arrays["values"])
    assert call > 15, "every stage of writing was killed once"


def test_arrays_lie_in_the_safetensors_format(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    arrays = {"a": np.arange(3, dtype=np.float32), "b": np.array(True), "c": np.zeros((0, 2))}
    with path.open("wb") as file:
        tensors.write(arrays, file.write)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert header["a"] == {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}
    assert header["b"] == {"dtype": "BOOL", "shape": [], "data_offsets": [12, 13]}
    assert len(data) == 8 + length + 13
    for name, array in tensors.read(path).items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])
    with pytest.raises(Failed, match="complex128"):
        tensors.write({"z": np.zeros(2, complex)}, lambda data: None)


def test_the_final_checkpoint_of_a_run_is_asked_for_by_its_step(tmp_path: Path) -> None:
    written(tmp_path / "checkpoints", 40)
    assert checkpoints.final(tmp_path, 40).step == 40
    with pytest.raises(BadInput, match="does not exist"):
        checkpoints.final(tmp_path, 50)

"""Committing a checkpoint: everything is on disk and hashed before it gets its name."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rl_lab import files
from rl_lab.checkpoints import layout, tensors
from rl_lab.checkpoints.reading import Checkpoint, Damaged, opened
from rl_lab.states import Ring, State

_CHUNK_BYTES = 64 * 2**20
_SPARE = 1.1  # of the bytes to be written must be free


def write(
    root: Path,
    step: int,
    state: State,
    facts: Mapping[str, Any],
    attachments: Mapping[str, Path],
    previous: Checkpoint | None = None,
) -> Checkpoint:
    """Write a checkpoint; a reader sees all of it or nothing.

    Args:
        root: The run's folder of checkpoints.
        step: Environment steps so far.
        state: What to keep. Rings must be `Ring`s; only rows written since `previous` are
            written again, the others are shared with it.
        facts: Plain data for the manifest.
        attachments: Name -> folder whose files are kept along, under that name.
        previous: The checkpoint before, of the same process or loaded from disk.

    Raises:
        Failed: The disk is full or read-only; nothing is left behind.
    """
    final = root / layout.folder_name(step)
    temporary = root / f"{layout.TEMPORARY}{step:09d}-{os.getpid()}"
    try:
        temporary.mkdir(parents=True)
        writer = _Writer(temporary)
        _require_space(root, state, previous)
        rings = {name: _ring(writer, name, r, previous) for name, r in _rings(state).items()}
        writer.put(layout.DATA, _same(json.dumps(state.data, allow_nan=False).encode()))
        writer.put(layout.ARRAYS, functools.partial(tensors.write, state.arrays))
        for name, folder in attachments.items():
            writer.attach(name, folder)
        manifest = {
            "format": layout.FORMAT,
            "format_version": layout.FORMAT_VERSION,
            "step": step,
            **facts,
            "rings": rings,
            "files": dict(writer.sealed),
        }
        manifest["seal"] = layout.seal(manifest)
        writer.put(layout.MANIFEST, _same(json.dumps(manifest, indent=1).encode()))
        layout.sync_folder(temporary)
        _make_way(final)
        os.rename(temporary, final)
        layout.sync_folder(root)
        shutil.rmtree(final.with_name(f"{layout.TRASH}{final.name}-{os.getpid()}"), True)
    except OSError as error:
        raise files.cannot_write(final, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Checkpoint(final, manifest)


def _require_space(root: Path, state: State, previous: Checkpoint | None) -> None:
    needed = sum(array.nbytes for array in state.arrays.values())
    for name, ring in _rings(state).items():
        row = sum(array[:1].nbytes for array in ring.arrays.values())
        done = previous.rings.get(name, {}).get("written", 0) if previous else 0
        needed += row * min(ring.written - done + 1, ring.capacity)
    free = shutil.disk_usage(root).free
    if free < needed * _SPARE:
        raise OSError(28, f"{free} bytes are free, {needed} are needed")


def _rings(state: State) -> dict[str, Ring]:
    return {name: ring for name, ring in state.rings.items() if isinstance(ring, Ring)}


def _make_way(final: Path) -> None:
    """Free the name: a whole checkpoint is replaced, a damaged one is set aside."""
    if not final.exists():
        return
    with contextlib.suppress(Damaged):
        opened(final, {})
        os.rename(final, final.with_name(f"{layout.TRASH}{final.name}-{os.getpid()}"))
        return
    set_aside(final)


def set_aside(folder: Path) -> None:
    """Give a damaged checkpoint a name under which it is not looked for; it is never deleted."""
    number = 1
    while (aside := folder.with_name(f"{layout.DAMAGED}{folder.name}-{number}")).exists():
        number += 1
    os.rename(folder, aside)


class _Writer:
    """Writes files into one folder and remembers their sizes and hashes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sealed: dict[str, dict[str, Any]] = {}

    def put(self, name: str, content: Callable[[Callable[[Any], object]], object]) -> None:
        digest, size = hashlib.sha256(), 0

        with _synced(self.folder / name) as file:

            def put(data: Any) -> None:
                nonlocal size
                digest.update(data)
                size += file.write(data)

            content(put)
        self.sealed[name] = {"bytes": size, "sha256": digest.hexdigest()}

    def share(self, name: str, other: Path, sealed: Mapping[str, Any]) -> None:
        """Take over a file of another checkpoint: one file on disk with two names."""
        try:
            os.link(other, self.folder / name)
        except OSError:  # a file system without hard links
            shutil.copyfile(other, self.folder / name)
        self.sealed[name] = dict(sealed)

    def attach(self, name: str, folder: Path) -> None:
        (self.folder / name).mkdir()
        for path in sorted(folder.iterdir()):
            self.put(f"{name}/{path.name}", _same(path.read_bytes()))
        layout.sync_folder(self.folder / name)


def _same(data: bytes) -> Callable[[Callable[[Any], object]], object]:
    return lambda put: put(data)


@contextlib.contextmanager
def _synced(path: Path) -> Iterator[Any]:
    with path.open("wb") as file:
        yield file
        file.flush()
        files.sync(file.fileno())


def _ring(writer: _Writer, name: str, ring: Ring, previous: Checkpoint | None) -> dict[str, Any]:
    """Write the rows that are new; share the files of those that are not."""
    old = previous.rings.get(name) if previous else None
    chunks, done = [], 0
    if previous and old and old["capacity"] == ring.capacity and old["written"] <= ring.written:
        # A chunk whose last row has been overwritten since is of no use any more.
        chunks = [c for c in old["chunks"] if c["stop"] > ring.written - ring.capacity]
        done = old["written"]
        for chunk in chunks:
            file = chunk["file"]
            writer.share(file, previous.folder / file, previous.manifest["files"][file])
    for start, stop in _pieces(ring, max(done, ring.written - ring.capacity)):
        file = f"{name}-{start:012d}-{stop:012d}.safetensors"
        slot = start % ring.capacity
        rows = {k: array[slot : slot + stop - start] for k, array in ring.arrays.items()}
        writer.put(file, functools.partial(tensors.write, rows))
        chunks.append({"file": file, "start": start, "stop": stop})
    return {"written": ring.written, "capacity": ring.capacity, "chunks": chunks}


def _pieces(ring: Ring, done: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows that do not wrap around and are not too large.

    The row that is next to be written goes along: buffers that save memory keep the newest
    observation there.
    """
    row_bytes = max(1, sum(array[:1].nbytes for array in ring.arrays.values()))
    most = max(1, _CHUNK_BYTES // row_bytes)
    start = done
    while start <= ring.written:
        slot = start % ring.capacity
        stop = min(ring.written + 1, start + most, start + ring.capacity - slot)
        yield start, stop
        start = stop

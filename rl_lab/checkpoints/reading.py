"""Finding checkpoints, proving them whole, and reading their state."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rl_lab import files, paths
from rl_lab.checkpoints import layout, tensors
from rl_lab.errors import BadInput, LabError
from rl_lab.states import State
from rl_lab.states.state import StateMismatch, require_same


class Damaged(LabError):
    """A checkpoint that cannot be used.

    Args:
        folder: Which.
        reason: Why, as a clause.
    """

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"checkpoint {folder} {reason}", "a whole checkpoint of this run")
        self.folder, self.reason = folder, reason


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A committed checkpoint.

    Attributes:
        folder: Where it lies.
        manifest: What `manifest.json` says.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def step(self) -> int:
        """Environment steps at which it was taken."""
        return int(self.manifest["step"])

    @property
    def rings(self) -> Mapping[str, Any]:
        """Ring -> rows written, capacity, files."""
        rings: Mapping[str, Any] = self.manifest["rings"]
        return rings

    def data(self) -> Any:
        """Read the plain data by part, without the arrays that they refer to.

        Raises:
            BadInput: They cannot be read.
        """
        return files.read_json(self.folder / layout.DATA)

    def state(self) -> State:
        """Read what was kept; rings stay on disk until they are copied into place.

        Raises:
            Damaged: A file is not what its name says.
        """
        try:
            data = json.loads((self.folder / layout.DATA).read_bytes())
            arrays = tensors.read(self.folder / layout.ARRAYS)
        except (OSError, ValueError, KeyError) as error:
            raise Damaged(self.folder, f"cannot be read: {error}") from error
        rings = {name: _StoredRing(self.folder, entry) for name, entry in self.rings.items()}
        return State(data, arrays, rings)


@dataclasses.dataclass(frozen=True)
class _StoredRing:
    folder: Path
    entry: Mapping[str, Any]

    @property
    def written(self) -> int:
        return int(self.entry["written"])

    def copy_into(self, targets: Mapping[str, np.ndarray]) -> None:
        """Fill arrays chunk by chunk, later rows over earlier ones."""
        capacity = int(self.entry["capacity"])
        have = {len(array) for array in targets.values()}
        if have != {capacity}:
            raise StateMismatch(
                f"the stored replay buffer has {capacity} rows", f"{sorted(have) or 'no'} rows"
            )
        for chunk in self.entry["chunks"]:
            rows = tensors.read(self.folder / chunk["file"])
            slot = chunk["start"] % capacity
            places = {
                k: a[slot : slot + chunk["stop"] - chunk["start"]] for k, a in targets.items()
            }
            require_same(rows, places)
            for name, values in rows.items():
                places[name][:] = values


def steps(root: Path) -> list[int]:
    """Steps of all committed checkpoints, verified or not, ascending."""
    names = [p.name.removeprefix(layout.PREFIX) for p in root.glob(f"{layout.PREFIX}*")]
    return sorted(int(name) for name in names if name.isdecimal())


def opened(folder: Path, expected: Mapping[str, Any]) -> Checkpoint:
    """A checkpoint that is proved whole.

    Args:
        folder: Where it lies.
        expected: Facts of the manifest that must be equal, such as the recipe's hash.

    Raises:
        Damaged: Anything about it is wrong.
        BadInput: It is of another format version.
    """
    try:
        manifest = json.loads((folder / layout.MANIFEST).read_bytes())
        _require_readable(folder, manifest)
        if manifest["seal"] != layout.seal(manifest):
            raise Damaged(folder, f"has a {layout.MANIFEST} that was changed")
        for key, value in expected.items():
            if manifest[key] != value:
                raise Damaged(folder, f"belongs to another run: {key} {manifest[key]!r}")
        _require_sealed(folder, manifest)
        for name, sealed in manifest["files"].items():
            _verify(folder, name, sealed)
    except FileNotFoundError as error:
        what = f"lacks {Path(error.filename).name}" if folder.is_dir() else "does not exist"
        raise Damaged(folder, what) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"{type(error).__name__}: {error}"
        raise Damaged(folder, f"has an unreadable {layout.MANIFEST} ({text})") from error
    return Checkpoint(folder, manifest)


def _require_readable(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse other formats aloud: to go on from an older checkpoint would lose work unasked."""
    version = manifest["format_version"]
    if manifest["format"] == layout.FORMAT and version == layout.FORMAT_VERSION:
        return
    raise BadInput(
        f"checkpoint {folder} has format_version {version!r}",
        f"version {layout.FORMAT_VERSION}, the one this rl-lab reads",
        "Use the version of rl-lab that made it, or delete the run to train it again.",
    )


def _require_sealed(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that vouches for less than is read, or for what lies elsewhere."""
    chunks = [c["file"] for ring in manifest["rings"].values() for c in ring["chunks"]]
    for name in (layout.DATA, layout.ARRAYS, *chunks):
        if name not in manifest["files"]:
            raise Damaged(folder, f"has a {layout.MANIFEST} that does not vouch for {name}")
    for name in manifest["files"]:
        parts = name.split("/")
        if "\\" in name or ":" in name or not set(parts).isdisjoint({"", ".", ".."}):
            raise Damaged(
                folder, f"has a {layout.MANIFEST} that names {name!r}, no file of its own"
            )


def _verify(folder: Path, name: str, sealed: Mapping[str, Any]) -> None:
    path = folder / name
    size = path.stat().st_size
    if size != sealed["bytes"]:
        raise Damaged(folder, f"has {size} bytes in {name} instead of {sealed['bytes']}")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    if digest.hexdigest() != sealed["sha256"]:
        raise Damaged(folder, f"has other bytes in {name} than were written")


def newest(root: Path, expected: Mapping[str, Any]) -> tuple[Checkpoint | None, list[Damaged]]:
    """The newest checkpoint that verifies, and the newer ones that do not."""
    skipped: list[Damaged] = []
    for step in reversed(steps(root)):
        try:
            return opened(root / layout.folder_name(step), expected), skipped
        except Damaged as damage:
            skipped.append(damage)
    return None, skipped


def final(run: Path, step: int) -> Checkpoint:
    """The checkpoint that a complete run ended with.

    Args:
        run: The run's folder.
        step: The run's last step, as `run.json` says.

    Raises:
        BadInput: There is none that is whole.
    """
    folder = run / paths.CHECKPOINTS / layout.folder_name(step)
    try:
        return opened(folder, {})
    except Damaged as damage:
        raise BadInput(
            str(damage).removesuffix("."), "", "Train the run again to continue it."
        ) from damage


def peek(run: Path, step: int) -> Checkpoint:
    """The same without the proof that it is whole: for what it says of itself.

    Raises:
        BadInput: It cannot be read.
    """
    folder = run / paths.CHECKPOINTS / layout.folder_name(step)
    return Checkpoint(folder, files.read_json(folder / layout.MANIFEST))

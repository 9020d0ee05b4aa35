"""Attacks by what lies in the folder: foreign formats, links, devices."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

from frozen_policy.attacking import ATTACKS, Payload, as_bytes, attack, canary
from frozen_policy.crafting import CARD, GRAPH

from rl_lab.frozen_policy.rules import Rule

# 1-9: pickles, bare and in the archives that training libraries write.


def _zip(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


for _name, _member in (
    ("2 zip of a library", "data"),
    ("3 normaliser", ""),
    ("4 replay buffer", ""),
    ("5 torch file", "archive/data.pkl"),
    ("9 odd extension", "payload.xyz"),
):
    as_bytes(
        _name,
        Rule.GRAPH_FORMAT,
        lambda _, mark, m=_member: (
            _zip(m, pickle.dumps(Payload(mark))) if m else pickle.dumps(Payload(mark))
        ),
    )
as_bytes("1 pickle", Rule.GRAPH_FORMAT, lambda _, mark: pickle.dumps(Payload(mark), 0))
as_bytes("7 payload after", Rule.GRAPH_FORMAT, lambda g, mark: g + pickle.dumps(Payload(mark)))
as_bytes(
    "8 zip with flags",
    Rule.GRAPH_FORMAT,
    lambda _, mark: _zip("data", pickle.dumps(Payload(mark))).replace(b"\0\0", b"\1\0", 1),
)


@attack("1 pickle as card", Rule.JSON)
def _(folder: Path) -> None:
    (folder / CARD).write_bytes(pickle.dumps(Payload(canary(folder))))


# 13, 14, 48, 49, and what opens badly.


def _move_out(folder: Path, name: str) -> Path:
    return (folder / name).rename(folder.parent / f"elsewhere {name}")


for _file in (CARD, GRAPH):
    ATTACKS[f"13 link {_file}"] = (
        Rule.FILES,
        lambda f, name=_file: (f / name).symlink_to(_move_out(f, name)),
    )
    ATTACKS[f"14 hard link {_file}"] = (
        Rule.FILES,
        lambda f, name=_file: os.link(_move_out(f, name), f / name),
    )
    ATTACKS[f"13 pipe {_file}"] = (
        Rule.FILES,
        lambda f, name=_file: (_move_out(f, name), os.mkfifo(f / name)),
    )
    ATTACKS[f"13 folder {_file}"] = (
        Rule.FILES,
        lambda f, name=_file: (_move_out(f, name), (f / name).mkdir()),
    )
    ATTACKS[f"13 device {_file}"] = (
        Rule.FILES,
        lambda f, name=_file: (_move_out(f, name), (f / name).symlink_to("/dev/zero")),
    )
ATTACKS["30 no graph"] = (Rule.FILES, lambda folder: _move_out(folder, GRAPH))

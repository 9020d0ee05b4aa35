"""How malicious folders are listed: by name, with the rule that must refuse them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from frozen_policy.crafting import GRAPH, card, edit, edit_graph, edit_text, put_graph

from rl_lab.frozen_policy.rules import Rule

Attack = Callable[[Path], None]
ATTACKS: dict[str, tuple[Rule, Attack]] = {}


class Payload:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.canary),)


def canary(folder: Path) -> Path:
    """What exists once code from the folder has run."""
    return folder.parent / "code has run"


def attack(name: str, rule: Rule) -> Callable[[Attack], Attack]:
    def add(make: Attack) -> Attack:
        ATTACKS[name] = (rule, make)
        return make

    return add


def on_card(name: str, rule: Rule, **changes: Any) -> None:
    ATTACKS[name] = (rule, lambda folder: edit(folder, **changes))


def on_part(name: str, rule: Rule, part: str, **changes: Any) -> None:
    ATTACKS[name] = (rule, lambda f: edit(f, **{part: {**card(f)[part], **changes}}))


def on_text(name: str, rule: Rule, old: str, new: str) -> None:
    ATTACKS[name] = (rule, lambda folder: edit_text(folder, old, new))


def on_graph(name: str, rule: Rule, change: Callable[[Any], object]) -> None:
    ATTACKS[name] = (rule, lambda folder: edit_graph(folder, change))


def as_bytes(name: str, rule: Rule, make: Callable[[bytes, Path], bytes]) -> None:
    """Other bytes in the graph's place."""
    ATTACKS[name] = (
        rule,
        lambda folder: put_graph(folder, make((folder / GRAPH).read_bytes(), canary(folder))),
    )

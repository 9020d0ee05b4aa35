"""What this machine can do, and one sentence of help for every problem."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from rl_lab.doctor import machine, packages
from rl_lab.doctor.check import Check

__all__ = ["Check", "checks", "table"]


def checks(output: Path = Path("outputs")) -> list[Check]:
    """All checks, in the order a person would ask; nothing heavy is imported.

    Args:
        output: The folder that results go to.
    """
    return [
        machine.python(),
        *packages.installed(),
        packages.torch(),
        packages.tensorboard(),
        packages.pygame(),
        packages.hydra_plugins(),
        machine.output(output),
        machine.display(),
        machine.opengl(),
        machine.cores(),
        machine.memory(),
        machine.git(),
    ]


def table(found: list[Check]) -> Table:
    """The checks as a table that rich can print, the help beneath what it is for."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for heading in ("", "check", "found"):
        made.add_column(heading, overflow="fold")
    marks = {True: Text("ok", "green"), False: Text("problem", "red"), None: Text("-", "yellow")}
    for check in found:
        said = Text(check.found)
        if check.fix:
            said.append(f"\n{check.fix}", "bold" if check.ok is False else "")
        made.add_row(marks[check.ok], Text(check.name), said)
    return made

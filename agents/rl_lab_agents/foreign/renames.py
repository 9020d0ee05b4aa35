"""Old environment ids and today's; the table is renames.yaml."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from rl_lab.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Renamed:
    """An environment's id today.

    Attributes:
        original: As the file or the user named it.
        id: As Gymnasium names it today; the same where nothing changed.
        note: What else changed, as a clause; "" where nothing did or nothing was renamed.
    """

    original: str
    id: str
    note: str


def today(environment: str, explicit: bool) -> Renamed:
    """Today's id of an environment.

    Args:
        environment: An id of any age; unknown ones are left as they are.
        explicit: Whether the user gave it; then an id that can still be made is kept.

    Raises:
        BadInput: Today's environment of that name shows or takes something else.
    """
    names = table()
    if environment in names["refused"]:
        raise BadInput(
            f"{environment} is gone, and its successor differs: {names['refused'][environment]}",
            "an environment that shows the policy what it was trained on",
            f"If a package still has it: env={environment} env.imports=[PACKAGE].",
        )
    known = names["retired"] | ({} if explicit else names["superseded"])
    if environment not in known:
        return Renamed(environment, environment, "")
    entry = known[environment]
    return Renamed(environment, str(entry["to"]), str(entry["note"]))


def table() -> dict[str, Any]:
    """The table: `retired` and `superseded` with `{to, note}`, `refused` with a reason, by id."""
    text = Path(__file__).with_name("renames.yaml").read_text(encoding="utf-8")
    whole: dict[str, Any] = yaml.safe_load(text)
    return whole

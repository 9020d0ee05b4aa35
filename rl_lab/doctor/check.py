"""One thing that was looked at."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        ok: True if all is well, False if something will fail, None if something is merely absent.
        found: What was found.
        fix: The sentence that helps; "" where no help is needed.
    """

    name: str
    ok: bool | None
    found: str
    fix: str = ""

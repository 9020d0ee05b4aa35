"""What a training can promise about its end when it is interrupted, and why no more."""

from __future__ import annotations

from collections.abc import Iterable

EXACT, EQUIVALENT = "exact", "equivalent"


class Promise:
    """EXACT until a reason comes up; from then on EQUIVALENT, for this run and all its attempts.

    EXACT: it ends as one that was never interrupted, to the last bit. EQUIVALENT: all state that
    can be saved is restored, without that promise.

    Args:
        reasons: Why not EXACT, as clauses; none where nothing speaks against it.
    """

    def __init__(self, reasons: Iterable[str]) -> None:
        self._reasons = dict.fromkeys(reasons)

    @property
    def level(self) -> str:
        """EXACT or EQUIVALENT."""
        return EQUIVALENT if self._reasons else EXACT

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not EXACT, as clauses."""
        return tuple(self._reasons)

    def lose(self, lost: Iterable[str]) -> bool:
        """Take note of state that no checkpoint holds; whether any of it is new."""
        before = len(self._reasons)
        self._reasons |= dict.fromkeys(f"no checkpoint holds {what}" for what in lost)
        return len(self._reasons) > before

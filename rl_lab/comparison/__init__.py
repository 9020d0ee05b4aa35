"""Comparison of contestants: from episode records to `scores.json` and the leaderboard."""

from __future__ import annotations

from rl_lab.comparison.comparing import Contestant, Learning, compare
from rl_lab.comparison.scoring import Grid, GridCell, Protocol, ShiftFacts
from rl_lab.comparison.wording import leaderboard_rows

__all__ = [
    "Contestant",
    "Grid",
    "GridCell",
    "Learning",
    "Protocol",
    "ShiftFacts",
    "compare",
    "leaderboard_rows",
]

"""What is at hand: runs, frozen policies, evaluations and configurations, read in an instant."""

from __future__ import annotations

from rl_lab.listing.configurations import configured
from rl_lab.listing.found import EvaluationRow, PolicyRow, Rows, RunRow
from rl_lab.listing.scanning import Scanner, rows
from rl_lab.listing.tables import table, watch

__all__ = [
    "EvaluationRow",
    "PolicyRow",
    "Rows",
    "RunRow",
    "Scanner",
    "configured",
    "rows",
    "table",
    "watch",
]

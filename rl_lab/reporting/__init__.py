"""The report of an evaluation: one HTML file that needs nothing else."""

from __future__ import annotations

from rl_lab.reporting.page import write_report

__all__ = ["write_report"]

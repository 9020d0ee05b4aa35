"""The report of an evaluation: one HTML file that needs nothing else, and its parts as files."""

from __future__ import annotations

from rl_lab.reporting.exporting import write_files
from rl_lab.reporting.page import write_player, write_report
from rl_lab.reporting.playing import embedded

__all__ = ["embedded", "write_files", "write_player", "write_report"]

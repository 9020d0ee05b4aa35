"""Freezing: an agent's policy becomes a file that can only act, proved equal or refused."""

from __future__ import annotations

from rl_lab.freezing.making import freeze
from rl_lab.freezing.proving import random_masks

__all__ = ["freeze", "random_masks"]

"""Where jobs run: each launcher is a file here, chosen by a file under `conf/launcher/`."""

from __future__ import annotations

from rl_lab.cli.launching.jobs import Finished, Job, Launcher, left, told
from rl_lab.cli.launching.making import make

__all__ = ["Finished", "Job", "Launcher", "left", "make", "told"]

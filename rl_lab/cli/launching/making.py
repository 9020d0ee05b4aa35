"""From the launcher's section of a configuration to the launcher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab.cli import targets, typed
from rl_lab.cli.launching.jobs import Launcher


def make(section: Mapping[str, Any], folder: Path) -> Launcher:
    """The launcher that a file under `conf/launcher/` describes.

    Args:
        section: `_target_`, `name`, and the settings of that launcher.
        folder: Where a launcher may keep files of its own; every machine must see it.

    Raises:
        BadInput: A setting is wrong, or what the launcher needs is not on this machine.
    """
    factory = targets.target_of(section, "launcher")
    settings = {k: v for k, v in section.items() if k not in ("_target_", "name")}
    typed.require_keywords(factory, settings, "launcher", besides=("folder",))
    made: Launcher = factory(folder=folder, **settings)
    return made

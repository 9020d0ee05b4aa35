"""Ships `conf/` inside the wheel; an editable install reads it where it lies."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConfInWheel(BuildHookInterface):
    """Adds `conf` as `rl_lab/conf` to a wheel, not to an editable install.

    A declared `force-include` would leave a stale copy in site-packages of an editable install,
    and the folder around that copy would hide the package itself.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Extend what the builder includes."""
        if version != "editable":
            build_data["force_include"]["conf"] = "rl_lab/conf"

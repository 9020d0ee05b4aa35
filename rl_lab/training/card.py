"""What a run tells about itself: `run.json`, and its row in TensorBoard's table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rl_lab import provenance, runs
from rl_lab.training.plan import RunPlan


def write(plan: RunPlan, status: str, facts: Mapping[str, Any], error: str | None) -> None:
    """Write `run.json`.

    Args:
        plan: The run.
        status: One of `rl_lab.runs`.
        facts: What the training has to say.
        error: What ended it, if anything did.
    """
    data = {
        "status": status,
        "environment": plan.environment.id,
        "agent": plan.agent,
        "seed": plan.seed,
        "settings": plan.settings,
        "command": plan.command,
        "recipe_hash": plan.recipe_hash,
        **facts,
        "reproducible": plan.training.seconds is None,
        "error": error,
        "versions": provenance.versions(),
        "git": provenance.git_commit(),
        "machine": provenance.machine(),
        "device": plan.training.device,
    }
    runs.write(plan.folder, data)


def hyperparameters(plan: RunPlan) -> dict[str, str | bool | int | float]:
    """What a person would compare runs by."""
    agent = {
        k: v
        for k, v in plan.config["agent"].items()
        if k not in ("_target_", "action_spaces", "name")
    }
    if "algorithm" in agent:
        # The table's narrow columns show the beginning, where a dotted path says least.
        agent["algorithm"] = str(agent["algorithm"]).rpartition(".")[2]
    chosen = {"agent": agent, "training": dataclasses.asdict(plan.training), "seed": plan.seed}
    # In the order of names "agent" is the first, and the first five are shown at once.
    return {"agent": plan.agent, **_flat({"env": plan.environment.id, **chosen})}


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, str | bool | int | float]:
    """Nested configuration as the flat names and plain values that TensorBoard's table takes."""
    flat: dict[str, str | bool | int | float] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, bool | int | float) else str(value)
    return flat

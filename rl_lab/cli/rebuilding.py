"""A run's agent built anew, as it was when its training ended."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from rl_lab import checkpoints, environments, paths, runs, seeding, states
from rl_lab.agent import Agent
from rl_lab.cli import config, training_sections
from rl_lab.errors import BadInput


def agent_of(run: Path, config_dir: Path | None = None) -> Agent:
    """Build the agent that a complete run's configuration describes, with its final weights.

    Imports what that configuration names (environments, policy classes), so it is for runs of
    one's own; the agent's factory must be one of the configured ones.

    Raises:
        BadInput: The run is not complete, its checkpoint is damaged, or its agent is not known.
    """
    card = runs.require_complete(run)
    data = config.read_yaml(run / paths.RUN_CONFIG)
    _require_configured(data["agent"], config_dir)
    recipe, _, imports = training_sections.environment(data["env"])
    # What learned on a GPU decides on any machine.
    training = dataclasses.replace(training_sections.training_of(data["training"]), device="cpu")
    make = training_sections.make_agent(data["agent"])
    seed = seeding.training_seed(int(card["seed"]))
    agent = make(lambda: environments.make(recipe, imports=imports), training, seed)
    state = checkpoints.final(run, int(card["steps"])).state()
    agent.restore(state, (states.WEIGHTS, states.NORMALIZER))
    return agent


def _require_configured(agent: Any, config_dir: Path | None) -> None:
    roots = [root for root in (paths.conf_dir(), config_dir) if root]
    known = {
        config.read_yaml(path).get("_target_")
        for root in roots
        for path in sorted((root / "agent").glob("*.yaml"))
    }
    if agent["_target_"] not in known:
        raise BadInput(
            f"the run's agent is made by {agent['_target_']!r}",
            "a factory that conf/agent names",
            "Give --config-dir with the configuration that it was trained with.",
        )

"""Starting a new run from what another one has learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium

from rl_lab import checkpoints, frozen_policy, runs, states
from rl_lab.agent import Agent, MakeAgent, Training
from rl_lab.errors import BadInput


def identity(run: Path) -> dict[str, Any]:
    """What a run's end is, whatever its folder is called: part of the new run's recipe.

    Raises:
        BadInput: It is not a complete run.
    """
    card = runs.require_complete(run)
    policy = frozen_policy.read_card(run / runs.POLICIES["final"])
    facts = {key: card[key] for key in ("recipe_hash", "seed", "steps")}
    return {**facts, "policy": policy.onnx_sha256}


def starting(make_agent: MakeAgent, training: Training) -> MakeAgent:
    """The factory, whose agents start with the weights and the normaliser of `warm_start`.

    Counters, schedules, random streams and the replay buffer are the new run's own.
    """
    if training.warm_start is None:
        return make_agent
    run = Path(training.warm_start)

    def make(
        make_env: Callable[[], gymnasium.Env[Any, Any]], training: Training, seed: int
    ) -> Agent:
        agent = make_agent(make_env, training, seed)
        card = runs.require_complete(run)
        _require_same_algorithm(run, agent)
        state = checkpoints.final(run, card["steps"]).state()
        try:
            agent.restore(state, (states.WEIGHTS, states.NORMALIZER))
        except states.StateMismatch as error:
            raise BadInput(
                f"training.warm_start={run}: {error.came}",
                error.expected,
                f"It is {card['agent']} on {card['environment']}; its networks must be the same.",
            ) from error
        return agent

    return make


def _require_same_algorithm(run: Path, agent: Agent) -> None:
    stored = frozen_policy.read_card(run / runs.POLICIES["final"]).algorithm
    if stored != (own := agent.policy().facts["algorithm"]):
        raise BadInput(
            f"training.warm_start={run}, which {stored} has trained",
            f"a run of {own}",
            "Networks of another algorithm, and what its optimiser keeps, mean something else.",
        )

"""Starting a new run from what another one has learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium

from rl_lab import checkpoints, frozen_policy, runs, states
from rl_lab.agent import Agent, MakeAgent, Training
from rl_lab.errors import BadInput


def identity(run: Path, takes_replay: bool) -> dict[str, Any]:
    """What a run's end is, whatever its folder is called: part of the new run's recipe.

    Args:
        run: Where it lies.
        takes_replay: Whether its replay buffer is wanted, too.

    Raises:
        BadInput: It is not a complete run, or its last checkpoint cannot be read.
    """
    card = runs.require_complete(run)
    policy = frozen_policy.read_card(run / runs.POLICIES["final"])
    facts = {key: card[key] for key in ("recipe_hash", "seed", "steps")}
    rows = replay_rows(run) if takes_replay else None
    kept = {} if rows is None else {"replay_rows": rows}
    return {**facts, "policy": policy.onnx_sha256, **kept}


def replay_rows(run: Path) -> int | None:
    """Rows of the replay buffer that a complete run kept, None where it kept none.

    They are those ever written, or those that are there in a buffer that does not count them.

    Raises:
        BadInput: Its last checkpoint cannot be read.
    """
    kept = checkpoints.peek(run, runs.require_complete(run)["steps"])
    if ring := kept.rings.get(states.REPLAY):
        return int(ring["written"])
    # A buffer of the user's own, whose rows lie where it likes.
    rest = kept.data()[states.REPLAY]
    if not rest.get("own"):
        return None
    return int(rest["buffer_size"] if rest["full"] else rest["pos"])


def starting(make_agent: MakeAgent, training: Training) -> MakeAgent:
    """The factory, whose agents start with weights, normaliser and replay of `warm_start`.

    Counters, schedules and random streams are the new run's own; so is the replay buffer where
    that run kept none or where it is not wanted.
    """
    if training.warm_start is None:
        return make_agent
    run = Path(training.warm_start)
    parts = [states.WEIGHTS, states.NORMALIZER]
    parts += [states.REPLAY] if training.warm_start_replay else []

    def make(
        make_env: Callable[[], gymnasium.Env[Any, Any]], training: Training, seed: int
    ) -> Agent:
        agent = make_agent(make_env, training, seed)
        card = runs.require_complete(run)
        _require_same_algorithm(run, agent)
        state = checkpoints.final(run, card["steps"]).state()
        try:
            agent.restore(state, parts)
        except states.StateMismatch as error:
            raise BadInput(
                f"training.warm_start={run}: {error.came}",
                error.expected,
                f"It is {card['agent']} on {card['environment']}; its networks must be the same, "
                "its replay buffer, too, unless training.warm_start_replay=false.",
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

"""Recordings: what it takes to live an episode again, and to prove that it is the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from rl_lab import episodes, paths, provenance, shifts
from rl_lab.environments import CheckedEnv
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import FrozenPolicy
from rl_lab.replay.chain import link, mark
from rl_lab.shifts import Shift


@dataclasses.dataclass(frozen=True, eq=False)
class Replay:
    """One episode, as far as it takes to live it again and to prove that it is the same.

    Attributes:
        environment: The environment's recipe.
        shift: The shift's declaration; None for the training context.
        delta: The shift's magnitude.
        seed: Given to `env.reset`.
        actions: `[T, ...]`, as the environment took them.
        rewards: `[T]`, float64.
        marks: `[T + 1]`, uint32: the start of the running hash after the reset and each step.
        observations_sha256: The running hash over all observations, see `rl_lab.replay.chain`.
        terminated: The environment reached a final state.
        truncated: A limit outside the task cut the episode.
        agent: Short name of what acted.
        training_seed: Of what acted.
        policy_sha256: Of its graph.
        recorded_with: Versions and machine; what to suspect when a replay differs.
    """

    environment: Mapping[str, Any]
    shift: Mapping[str, Any] | None
    delta: float
    seed: int
    actions: np.ndarray
    rewards: np.ndarray
    marks: np.ndarray
    observations_sha256: str
    terminated: bool
    truncated: bool
    agent: str
    training_seed: int
    policy_sha256: str
    recorded_with: Mapping[str, Any]

    @property
    def length(self) -> int:
        """The number of steps."""
        return len(self.rewards)

    @property
    def episode_return(self) -> float:
        """The sum of rewards, added up in the order they came."""
        return sum(self.rewards.tolist(), 0.0)

    @property
    def ended(self) -> str:
        """Why the episode ended, in one word."""
        return "terminated" if self.terminated else "truncated"


class _Tape(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps what passes; actions are copied, as an environment may change them in place."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.actions: list[np.ndarray] = []
        self.rewards: list[float] = []
        self.marks: list[int] = []
        self.digest = b""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        observation, info = self.env.reset(seed=seed, options=options)
        self._keep(observation)
        return observation, info

    def step(self, action: Any) -> Any:
        self.actions.append(np.array(action))
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.rewards.append(float(reward))
        self._keep(observation)
        return observation, reward, terminated, truncated, info

    def _keep(self, observation: Any) -> None:
        self.digest = link(self.digest, observation)
        self.marks.append(mark(self.digest))


def record(
    policy: FrozenPolicy,
    seed: int,
    step_limit: int,
    shift: Shift | None = None,
    delta: float = 0.0,
    imports: Sequence[str] = (),
    most: int | None = None,
) -> Replay:
    """Run one episode in a fresh environment and keep it.

    Args:
        policy: What acts, in the environment of its card.
        seed: Given to `env.reset`.
        step_limit: For environments without a limit of their own.
        shift: Applied before the reset; None for the training context.
        delta: The shift's magnitude.
        imports: Packages that register environments.
        most: Steps after which it is cut, whatever the environment; None is no more than these.

    Raises:
        BadInput: The seed is negative, the environment cannot be made, or the shift is not for it.
        EnvironmentFault: The environment failed on the way.
    """
    if seed < 0:
        raise BadInput(f"seed={seed}", "a whole number from 0 up", "Choose another seed.")
    if shift is None and delta != 0.0:
        raise BadInput(f"delta={delta} without a shift", "a shift to go with it", "Name a shift.")
    # Checked, as the replay is: what would stop that must not be recorded.
    context = shifts.shifted(shift, delta) if shift else shifts.NOMINAL
    env = episodes.make_for(policy, imports=tuple(imports), context=context)
    tape = _Tape(CheckedEnv(env))
    try:
        limit = episodes.step_limit(tape, step_limit)
        episode = episodes.run_episode(tape, policy, seed, min(limit, most or limit))
    finally:
        tape.close()
    machine = provenance.machine()
    return Replay(
        environment=policy.card.environment,
        shift=shift.to_data() if shift else None,
        delta=float(delta),
        seed=seed,
        actions=np.stack(tape.actions),
        rewards=np.array(tape.rewards, np.float64),
        marks=np.array(tape.marks, np.uint32),
        observations_sha256=tape.digest.hex(),
        terminated=episode.terminated,
        truncated=episode.truncated,
        agent=policy.card.agent,
        training_seed=policy.card.training_seed,
        policy_sha256=policy.card.onnx_sha256,
        recorded_with={**provenance.versions(), **{k: machine[k] for k in ("system", "processor")}},
    )


def file_stem(replay: Replay) -> str:
    """A file name without suffix that says which episode this is."""
    parts = [str(replay.environment["id"]), replay.agent]
    parts += [f"seed_{replay.training_seed}"] if replay.training_seed >= 0 else []
    if replay.shift is not None:
        parts.append(f"{replay.shift['name']}={replay.delta:g}")
    return paths.file_name("-".join([*parts, f"episode_{replay.seed}"]))

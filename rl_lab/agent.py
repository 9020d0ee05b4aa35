"""The contract between the lab and the agents it trains; agents themselves live elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np

from rl_lab.states import State

# Tag under which an agent counts the training episodes that it logs one by one.
EPISODE_COUNT = "raw/rollouts/episodes"


@dataclasses.dataclass(frozen=True)
class Training:
    """What a training consists of besides its environment, its agent and its seed.

    Attributes:
        steps: The budget in environment steps, summed over all environments.
        n_envs: Environments stepped side by side.
        normalize_observation: Subtract the running mean and divide by the running deviation.
        normalize_reward: Divide rewards by the running deviation of the discounted return.
        frame_stack: Observations shown to the policy at once; 1 is the latest only.
        selection_every_steps: Steps between two evaluations on the selection seeds; 0 is never.
        selection_episodes: Episodes of each such evaluation.
        seconds: A second budget, in wall time: the training ends at the first boundary after it.
            None is none.
        log_every_steps: Steps between two log points; None is the algorithm's own rhythm, 0 never.
        vectorization: How environments are stepped side by side: `sync` in this process,
            `subprocess` in one each, `native` as one vector environment, `envpool` as EnvPool's,
            or a dotted path.
        wrappers: Wrappers for learning alone, outside of what records returns, innermost first.
        warm_start: A complete run of whose weights and normaliser this one starts; None is none.
        warm_start_replay: Whether its replay buffer comes along, where it kept one.
        device: Where networks are trained, as torch names it; environments are on the CPU.
        parallel_updates: Whether an off-policy agent learns while its next steps are taken.
        log_episodes: Whether each training episode's return and length are logged, unsmoothed.
        log_info: Numbers of `info` that are logged where a training episode ends.
    """

    steps: int
    n_envs: int
    normalize_observation: bool
    normalize_reward: bool
    frame_stack: int
    selection_every_steps: int
    selection_episodes: int
    seconds: float | None
    log_every_steps: int | None
    log_episodes: bool
    vectorization: str
    wrappers: tuple[Mapping[str, Any], ...]
    warm_start: str | None
    warm_start_replay: bool
    device: str
    parallel_updates: bool
    log_info: tuple[str, ...]


class Listener(Protocol):
    """What an agent tells while it learns."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Named numbers after `step` environment steps."""

    def boundary(self, step: int) -> bool:
        """The state is whole: it may be saved and frozen; False asks the agent to stop here."""


@dataclasses.dataclass(frozen=True)
class StateSpec:
    """One array that a policy carries from a decision to the next; it starts as zeros.

    Attributes:
        name: Its name in the graph; the next value has the name with `next_` before it.
        shape: Its shape for one environment, without the batch axis.
        dtype: Its NumPy type name.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


class Reference(Protocol):
    """The training library's own deterministic path, against which a frozen policy is proved."""

    def __call__(self, observations: Sequence[Any], masks: Sequence[Any] | None) -> np.ndarray:
        """Act for several decisions of several episodes side by side, from their beginning.

        Args:
            observations: T batches `[N, ...]` as the environment gives them (a Dict space: a dict
                of batches); none of the N episodes ends.
            masks: T batches of action masks, or None.

        Returns:
            Actions `[T, N, ...]` as the environment takes them.
        """


@dataclasses.dataclass(frozen=True)
class TracedPolicy:
    """A deterministic policy in a form that can be frozen.

    Attributes:
        module: A torch module. It takes the raw observation batch (a Dict space: one batch per
            key, in the space's order), then the batches of `state`, then the masks if there are
            any; it gives the action batch ready for the environment, then the next state.
        predict: What the module is proved equal to.
        observation_space: Of the environment, before any preprocessing.
        action_space: Of the environment.
        state: What the policy carries along; empty for most.
        action_masks: Whether decisions need a mask of allowed actions.
        facts: Plain data for the card: algorithm, policy class, library versions.
    """

    module: Any
    predict: Reference
    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]
    state: tuple[StateSpec, ...]
    action_masks: bool
    facts: Mapping[str, Any]


class Agent(Protocol):
    """An algorithm bound to an environment's spaces: it learns, is saved, and can be frozen."""

    def learn(self, steps: int, listener: Listener) -> None:
        """Learn until `steps` environment steps are done in all, or the listener says stop.

        A restored agent goes on from the steps that it had. `listener.boundary` is called before
        the first step, after every update, and at the end; nowhere else is the state whole.
        """

    def state(self) -> State:
        """Everything that learning depends on, as it is at a boundary.

        Its parts are named in `rl_lab.states`. Rings are views of live memory: they are to be
        written away before learning goes on.
        """

    def restore(self, state: State, parts: Collection[str]) -> None:
        """Take over parts of a state, before learning.

        With all of `rl_lab.states.ALL` the agent goes on as if it had never stopped. With
        `rl_lab.states.CARRIED` it takes what it has learned into other environments.

        Raises:
            StateMismatch: The state is that of another kind of agent, or of other spaces.
        """

    def renew_environments(self, seed: int) -> None:
        """At a boundary, put fresh environments in place of all; environment i gets `seed` + i.

        An episode that is cut off by this counts as truncated.
        """

    def policy(self) -> TracedPolicy:
        """The policy as it is now."""

    def costs(self) -> Mapping[str, int]:
        """What learning took so far: `gradient_updates`, `parameters`."""

    def close(self) -> None:
        """Close its environments; nothing is done with it after that."""


class MakeAgent(Protocol):
    """An agent family's factory, as a configuration's `_target_` names it."""

    def __call__(
        self, make_env: Callable[[], gymnasium.Env[Any, Any]], training: Training, seed: int
    ) -> Agent:
        """Build an agent for the environment; seeds of environments start at `seed`.

        Raises:
            BadInput: The algorithm cannot act in these spaces, or refuses a hyperparameter.
        """

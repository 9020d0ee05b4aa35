"""What may end a training early: a protocol, and the usual reasons.

A callback looks at a training where its weights are whole. It is called once per update of the
algorithm and decides from what the run has recorded, so one that keeps nothing of its own decides
the same after an interruption.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from rl_lab.agent import EPISODE_COUNT, Agent
from rl_lab.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Moment:
    """A training where its weights are whole.

    Attributes:
        step: Environment steps done.
        seconds: Wall time of the training so far.
        metrics: The latest value of every tag logged so far.
        selection: The evaluations on the selection seeds so far: `{step, mean_return, returns,
            lengths}`.
        log: Adds numbers to the run's metrics and its TensorBoard events.
        agent: Who learns.
    """

    step: int
    seconds: float
    metrics: Mapping[str, float]
    selection: Sequence[Mapping[str, Any]]
    log: Callable[[Mapping[str, float]], None]
    agent: Agent


class Callback(Protocol):
    """What a file of `conf/callback` names by `_target_`, called with the file's other keys."""

    def __call__(self, moment: Moment) -> str | None:
        """A reason to end the training here, or None to go on."""


@dataclasses.dataclass(frozen=True)
class StopOnReturn:
    """Ends once an evaluation on the selection seeds reaches a mean return.

    Args:
        threshold: The mean return.
    """

    threshold: float | None

    def __post_init__(self) -> None:
        if self.threshold is None:
            raise BadInput(
                "no threshold", "a mean return", "Give callback.stop_on_return.threshold=NUMBER."
            )

    def __call__(self, moment: Moment) -> str | None:
        """Compare the latest evaluation."""
        assert self.threshold is not None
        if moment.selection and moment.selection[-1]["mean_return"] >= self.threshold:
            mean = moment.selection[-1]["mean_return"]
            return f"mean return {mean:.1f} reached {self.threshold:g}"
        return None


@dataclasses.dataclass(frozen=True)
class StopOnNoImprovement:
    """Ends after a number of evaluations in a row without a new best mean return.

    Args:
        patience: Evaluations in a row that may pass without one.
        minimum: Evaluations before which nothing is counted.
    """

    patience: int
    minimum: int

    def __post_init__(self) -> None:
        if self.patience < 1 or self.minimum < 0:
            raise BadInput(
                f"patience={self.patience}, minimum={self.minimum}", "at least 1 and at least 0"
            )

    def __call__(self, moment: Moment) -> str | None:
        """Count the evaluations since the best one."""
        returns = [point["mean_return"] for point in moment.selection]
        if len(returns) <= max(self.minimum, self.patience):
            return None
        since = len(returns) - 1 - returns.index(max(returns))
        if min(since, len(returns) - self.minimum) < self.patience:
            return None
        return f"no better mean return in {since} evaluations"


@dataclasses.dataclass(frozen=True)
class StopOnEpisodes:
    """Ends after a number of training episodes, summed over all environments.

    Args:
        episodes: How many.
    """

    episodes: int

    def __call__(self, moment: Moment) -> str | None:
        """Look at the count that `training.log_episodes` keeps."""
        done = moment.metrics.get(EPISODE_COUNT, 0)
        return f"{done:.0f} episodes are done" if done >= self.episodes else None

"""Records of the drift block: each evaluation seed lived with a moving context and without."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from rl_lab.statistics.resampling import FloatArray

COLUMNS = (
    "contestant", "training_seed", "drift", "evaluation_seed", "length", "terminated", "truncated",
    "episode_return", "return_after", "recovery", "alarm_step", "residual_after", "novelty_after",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class DriftRecord:
    """One episode of the drift block; "after" counts from the change on.

    Attributes:
        contestant: The recipe's name.
        training_seed: Of the policy.
        drift: Whether the context moved.
        evaluation_seed: Given to `env.reset`.
        length: Steps.
        terminated: The environment reached a final state.
        truncated: A limit cut it.
        episode_return: Sum of rewards.
        return_after: The same from the change on.
        recovery: Mean reward of the last third after the change minus the first third; None with
            fewer than three steps there.
        alarm_step: Observations after which the monitor's alarm went up; None: never.
        residual_after: Mean residual of the one-step model; None without.
        novelty_after: Share of steps outside of the usual range; None without a monitor.
        samples: Thinned observations after the change [t, s]; None without.
        no_monitor: Why there is none; else "".
        reference_novelty: Share of novel steps in the policy's reference; None without.
        false_alarm_rate: That the alarm is calibrated to; None without an alarm.
        sd_s: The reference's units [s]; None without.
        categories: Observations are one discrete variable; None without a reference.
    """

    contestant: str
    training_seed: int
    drift: bool
    evaluation_seed: int
    length: int
    terminated: bool
    truncated: bool
    episode_return: float
    return_after: float
    recovery: float | None
    alarm_step: int | None
    residual_after: float | None
    novelty_after: float | None
    samples: FloatArray | None
    no_monitor: str
    reference_novelty: float | None
    false_alarm_rate: float | None
    sd_s: FloatArray | None
    categories: bool | None


def to_csv(found: Iterable[DriftRecord]) -> str:
    """All records in the order given, as CSV text; what is missing is empty."""
    rows = [",".join(COLUMNS)]
    rows += [",".join(_cell(getattr(record, name)) for name in COLUMNS) for record in found]
    return "\n".join(rows) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return repr(value) if isinstance(value, float) else str(value)

"""What a frozen policy's own world looks like: the statistics that travel with it."""

from __future__ import annotations

import dataclasses

from rl_lab.errors import BadInput
from rl_lab.statistics import drift, dynamics
from rl_lab.statistics.resampling import FloatArray


@dataclasses.dataclass(frozen=True)
class Reference:
    """Statistics of a frozen policy's episodes in the world that it was trained in.

    Some of the episodes fit (units, ranges, the dynamics model), the others calibrate, so that
    what is compared with later episodes was not fitted to.

    Attributes:
        policy_sha256: The graph that acted, as its card names it.
        environment: The Gymnasium id.
        fit_episodes: Episodes that fitted.
        false_alarm_rate: Of the alarm, per episode of a world that has not changed.
        kappa: Slack of the alarm's cumulative sum, in deviations of the residual.
        threshold: Of the cumulative sum; None where there is no dynamics model.
        novelty_rate: Share of the calibration steps outside of the range.
        categories: Observations are one discrete variable, kept as indicators.
        low_s: 0.5 % quantile of each dimension of the fitting episodes.
        high_s: 99.5 % quantile.
        sd_s: Their deviation; the unit of observation shifts.
        samples: Thinned observations of each calibration episode, [t, s].
        model: The one-step model; None where there is none.
        model_reason: Why there is none; else "".
        residuals: Mean residual of each calibration episode.
    """

    policy_sha256: str
    environment: str
    fit_episodes: int
    false_alarm_rate: float
    kappa: float
    threshold: float | None
    novelty_rate: float
    categories: bool
    low_s: FloatArray
    high_s: FloatArray
    sd_s: FloatArray
    samples: tuple[FloatArray, ...]
    model: dynamics.DynamicsModel | None
    model_reason: str
    residuals: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a reference is made.

    Attributes:
        fit_episodes: Episodes for units, ranges and the dynamics model; 0 makes no reference.
        calibration_episodes: Episodes for the alarm's threshold.
        false_alarm_rate: Of the alarm, per unchanged episode.
        kappa: Slack of the cumulative sum, in deviations of the residual.
        step_limit: Of an episode in an environment without a limit of its own.
    """

    fit_episodes: int
    calibration_episodes: int
    false_alarm_rate: float
    kappa: float
    step_limit: int

    @property
    def episodes(self) -> int:
        """All of them; 0 where no reference is wanted."""
        return self.fit_episodes + self.calibration_episodes if self.fit_episodes else 0


def require_valid(settings: Settings, where: str) -> None:
    """Refuse settings that give no reference.

    Args:
        settings: To check.
        where: What a user calls them, for the message.

    Raises:
        BadInput: A rate or a number of episodes is out of range.
    """
    if settings.fit_episodes == 0:
        return
    if not 0.0 < settings.false_alarm_rate < 1.0:
        raise BadInput(
            f"{where}.false_alarm_rate={settings.false_alarm_rate}", "a rate between 0 and 1"
        )
    if settings.kappa < 0.0:
        raise BadInput(f"{where}.kappa={settings.kappa}", "a number from 0 up")
    fewest = drift.fewest_calibration_episodes(settings.false_alarm_rate)
    if settings.calibration_episodes < fewest:
        raise BadInput(
            f"{where}.calibration_episodes={settings.calibration_episodes}",
            f"{fewest} or more for a false-alarm rate of {settings.false_alarm_rate}",
            f"Give {where}.calibration_episodes={fewest}, or allow more false alarms.",
        )
    if settings.step_limit < 2:
        raise BadInput(f"{where}.step_limit={settings.step_limit}", "2 steps or more")
    if settings.fit_episodes < 2:
        raise BadInput(
            f"{where}.fit_episodes={settings.fit_episodes}", "2 or more, or 0 for no statistics"
        )

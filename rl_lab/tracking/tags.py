"""Tag names that the lab shares."""

from __future__ import annotations

import re

# Those of training are stable-baselines3's.
EPISODE_RETURN = "rollout/ep_rew_mean"
EPISODE_LENGTH = "rollout/ep_len_mean"
SELECTION_RETURN = "eval/mean_reward"
SELECTION_LENGTH = "eval/mean_ep_length"
SELECTION_SUCCESS = "eval/success_rate"
BEST_RETURN = "selection/mean_return"
STEPS_PER_SECOND = "time/fps"
VERDICT = "verdict"
# First parts of an evaluation's tags; a contestant's name follows.
EVALUATION, SPEED = "evaluation", "speed"
ROBUSTNESS, ADAPTATION, DRIFT = "robustness", "adaptation", "drift"
GENERALISATION = "generalisation"
ADAPTATION_CURVES = ("shifted", "original", "scratch")


def evaluation_tag(contestant: str, part: str) -> str:
    """The tag of a contestant's mean return; `part` is estimate, low or high."""
    return f"{EVALUATION}/{contestant}/{part}"


def robustness_tag(contestant: str, shift: str) -> str:
    """The tag of a contestant's score along a shift; steps are thousandths of its magnitude."""
    return f"{ROBUSTNESS}/{contestant}/{shift}"


def generalisation_tag(contestant: str, part: str) -> str:
    """The tag of a score or a gap of a contestant between sets of contexts."""
    return f"{GENERALISATION}/{contestant}/{part}"


def drift_tag(contestant: str, shift: str, part: str) -> str:
    """The tag of a number of the drift block of a shift."""
    return f"{DRIFT}/{contestant}/{shift}/{part}"


def pattern(first: str, last: str) -> str:
    """A regular expression for the tags of all contestants.

    Args:
        first: The tags' first part.
        last: A regular expression for their last.
    """
    return f"{re.escape(first)}/.*/{last}"

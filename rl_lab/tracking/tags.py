"""Tag names that the lab shares."""

from __future__ import annotations

# Those of training are stable-baselines3's.
EPISODE_RETURN = "rollout/ep_rew_mean"
EPISODE_LENGTH = "rollout/ep_len_mean"
SELECTION_RETURN = "eval/mean_reward"
SELECTION_LENGTH = "eval/mean_ep_length"
BEST_RETURN = "selection/mean_return"
STEPS_PER_SECOND = "time/fps"
VERDICT = "verdict"


def evaluation_tag(contestant: str, part: str) -> str:
    """The tag of a contestant's mean return; `part` is estimate, low or high."""
    return f"evaluation/{contestant}/{part}"


def robustness_tag(contestant: str) -> str:
    """The tag of a contestant's score along a shift; steps are thousandths of its magnitude."""
    return f"robustness/{contestant}/score"

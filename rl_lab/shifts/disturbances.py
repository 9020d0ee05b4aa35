"""Disturbances of any environment, by kind.

Each is a function of an environment and a dial, and gives the wrapped environment; at 0 on the
dial (a gain or a repetition at 1) everything passes through untouched. They draw from the dial's
own generator, never from the environment's, which a wrapper would otherwise share. Rewards are
never altered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium

from rl_lab.errors import BadInput, closest
from rl_lab.shifts import actuators, sensors
from rl_lab.shifts.dial import Dial

Env = gymnasium.Env[Any, Any]


def disturbed(env: Env, dial: Dial, settings: dict[str, Any]) -> Env:
    """The environment under the disturbance that `settings` names.

    Raises:
        BadInput: There is no such disturbance, it takes other settings, or it does not fit the
            spaces.
    """
    settings = dict(settings)
    kind = settings.pop("kind", None)
    if kind not in KINDS:
        do = closest(str(kind), KINDS)
        raise BadInput(f"disturbance.kind={kind}", f"one of {', '.join(KINDS)}", do)
    try:
        return KINDS[kind](env, dial, **settings)
    except TypeError as error:
        raise BadInput(f"disturbance {kind}: {error}", "the settings it takes") from error


KINDS: dict[str, Callable[..., Env]] = {
    "observation_noise": sensors.observation_noise,
    "observation_bias": sensors.observation_bias,
    "observation_dropout": sensors.observation_dropout,
    "observation_stuck": sensors.observation_stuck,
    "observation_delay": sensors.ObservationDelay,
    "action_noise": actuators.action_noise,
    "action_delay": actuators.ActionDelay,
    "action_repetition": actuators.ActionRepetition,
    "action_gain": actuators.action_gain,
}
# Those whose dial counts steps.
COUNTING = ("observation_delay", "action_delay", "action_repetition")

"""Gymnasium wrappers that Gymnasium itself lacks.

A recipe names them (`env.wrappers: [{name: rl_lab.wrappers.MaskObservation, kwargs: {...}}]`), so a
policy's card does too, and evaluation and replay wrap the same way without being told. Random ones
draw from a generator of their own that follows the seed of `reset`.
"""

from rl_lab.wrappers.acting import ActionNoise, FireOnReset, FrameSkip, SmoothAction
from rl_lab.wrappers.masking import MasksOfInfo
from rl_lab.wrappers.memory import History
from rl_lab.wrappers.observing import MaskObservation, ObservationNoise, Resize, TimeLeft
from rl_lab.wrappers.rewarding import DelayReward, TruncateOnSuccess

__all__ = [
    "ActionNoise",
    "DelayReward",
    "FireOnReset",
    "FrameSkip",
    "History",
    "MaskObservation",
    "MasksOfInfo",
    "ObservationNoise",
    "Resize",
    "SmoothAction",
    "TimeLeft",
    "TruncateOnSuccess",
]

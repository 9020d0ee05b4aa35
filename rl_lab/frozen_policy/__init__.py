"""Frozen policies: deterministic, immutable, on disk; they can only act.

The format is specified in docs/frozen-policy.md. Loading needs NumPy, Gymnasium's spaces and
onnxruntime: no torch, no stable-baselines3, no Hydra.
"""

from rl_lab.frozen_policy.binding import State
from rl_lab.frozen_policy.card import FORMAT, FORMAT_VERSION, Card, read_card
from rl_lab.frozen_policy.layout import array_type, input_names, input_spaces, mask_width
from rl_lab.frozen_policy.loading import actions_differ, load_policy, locate, save
from rl_lab.frozen_policy.policy import FrozenPolicy
from rl_lab.frozen_policy.reading import read_json

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "Card",
    "FrozenPolicy",
    "State",
    "actions_differ",
    "array_type",
    "input_names",
    "input_spaces",
    "load_policy",
    "locate",
    "mask_width",
    "read_card",
    "read_json",
    "save",
]

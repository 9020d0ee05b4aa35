"""Gives frozen policies on disk the statistics of their own world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rl_lab import seeding
from rl_lab.drift import gathering, storing
from rl_lab.drift.reference import Reference, Settings
from rl_lab.errors import LabError
from rl_lab.frozen_policy import load_policy


def accompany(folders: Sequence[Path], make_env: Callable[[], Any], settings: Settings) -> str:
    """Write `reference.json` beside each policy; the same policy twice acts once.

    Args:
        folders: Frozen policies of one environment.
        make_env: Makes one environment of their cards.
        settings: How many episodes, and the alarm's rate; without episodes nothing is written.

    Returns:
        Why a policy got none; "" where all did. A policy is whole without.
    """
    if not settings.episodes:
        return "no statistics were asked for"
    known: dict[str, Reference | str] = {}
    for folder in folders:
        policy = load_policy(folder)
        code = policy.card.onnx_sha256
        if code not in known:
            seeds = seeding.reference_seeds(policy.card.training_seed, settings.episodes)
            try:
                known[code] = gathering.gather(policy, make_env, seeds, settings)
            except LabError as error:
                known[code] = str(error)
        found = known[code]
        if isinstance(found, Reference):
            storing.save(found, folder)
    return next((reason for reason in known.values() if isinstance(reason, str)), "")

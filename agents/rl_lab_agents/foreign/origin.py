"""Where a policy came from, for the card of its frozen form."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rl_lab_agents.foreign.archive import Archive
from rl_lab_agents.foreign.renames import Renamed

# Types only: the door that imports this answers before torch is imported.
if TYPE_CHECKING:
    from rl_lab.agent import TracedPolicy
    from rl_lab_agents.foreign.hints import Saved

# What differs between two trainings of one recipe.
_OF_A_RUN = {
    "seed", "device", "verbose", "tensorboard_log", "num_timesteps", "start_time", "_n_updates",
    "_last_obs", "_last_original_obs", "_last_episode_starts", "_episode_num", "ep_info_buffer",
    "ep_success_buffer", "_current_progress_remaining", "_num_timesteps_at_start", "_n_calls",
    "exploration_rate", "observation_space", "action_space", "weights", "old_count", "env",
}  # fmt: skip

_SEEDS = 2**32  # what NumPy takes
_STEPS = 2**63


@dataclasses.dataclass(frozen=True)
class Reading:
    """A policy from elsewhere, and what its card should say.

    Attributes:
        policy: What can be frozen.
        agent: Short name of the algorithm.
        training_seed: -1 where the file does not say.
        steps: Environment steps learned from; 0 where the file does not say.
        recipe: Hyperparameters, equal for trainings that differ only in their seed.
        settings: Where the policy came from, in a few words.
        source: The same as plain data.
    """

    policy: TracedPolicy
    agent: str
    training_seed: int
    steps: int
    recipe: Mapping[str, Any]
    settings: str
    source: Mapping[str, Any]


def of_file(file: Archive, trust: bool) -> dict[str, Any]:
    """Which file it was, who wrote it and how it was read."""
    version = file.members.get("_stable_baselines3_version", b"")[:40].decode("ascii", "replace")
    return {
        "file": file.name,
        "sha256": file.sha256,
        "stable_baselines3": version.strip() or None,
        "read": "with trust" if trust else "without trust",
    }


def of_environment(renamed: Renamed | None) -> dict[str, Any]:
    """What its environment was called, and what else changed since."""
    return {
        "environment": renamed.original if renamed else None,
        "renamed_note": (renamed.note or None) if renamed else None,
    }


def describe(
    policy: TracedPolicy, name: str | None, saved: Saved, source: Mapping[str, Any]
) -> Reading:
    """A policy with what its card should say.

    Args:
        policy: The policy.
        name: Short name of the algorithm; None takes its class's.
        saved: The file's attributes.
        source: Where it came from, as plain data.
    """
    name = name or str(policy.facts["algorithm"]).rpartition(".")[2].lower()
    return Reading(
        policy=policy,
        agent=name,
        training_seed=_whole(saved, "seed", _SEEDS, -1),
        steps=_whole(saved, "num_timesteps", _STEPS, 0),
        recipe={"agent": name, "attributes": _recipe(saved)},
        settings=f"read {source['read']} from {source['file']}",
        source=source,
    )


def _whole(saved: Saved, key: str, below: int, unknown: int) -> int:
    """A number from the file; one that no training can have had counts as not told."""
    value = saved.plain.get(key)
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below
    return int(value) if whole else unknown  # type: ignore[arg-type]


def _recipe(saved: Saved) -> str:
    """A hash of everything saved that is a hyperparameter."""
    attributes = {**saved.plain, **saved.pickles}
    text = json.dumps(
        {key: value for key, value in attributes.items() if key not in _OF_A_RUN}, sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()

"""A contestant inside a measuring process: its policy, ready to decide on real observations."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl_lab import episodes, seeding
from rl_lab.evaluation.speed.batches import mismatch_rate
from rl_lab.frozen_policy import FrozenPolicy, load_policy, mask_width

THREADS = 1
WARM_UP_CALLS = 200
MISMATCH_BATCH = 64
_OBSERVATIONS = 512
_ROLLOUT_STEPS = 3_000
_ROLLOUT_S = 1.0
# What the format of frozen policies promises of continuous actions, as a share of their range.
_TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A policy with what it decides on.

    Attributes:
        policy: What acts.
        act: `act(observation, state)`; a policy that needs a mask has one that allows all.
        observations: Of its own episodes, shuffled.
        steps_per_second: Decision and environment step together.
        load_s: From the folder to a policy that is ready to act.
    """

    policy: FrozenPolicy
    act: Callable[[Any, Any], Any]
    observations: list[Any]
    steps_per_second: float
    load_s: float

    def decider(self) -> Callable[[], object]:
        """Decides on the next observation with each call, from a fresh state."""
        act, state, following = self.act, self.policy.reset(), itertools.cycle(self.observations)
        return lambda: act(next(following), state)

    def batcher(self, size: int) -> Callable[[], object]:
        """Decides on the same `size` observations with each call, from one state."""
        policy, batch = self.policy, stack(self.observations, size)
        masks = all_allowed(policy, size)
        _, state = policy.act_batch(batch, action_masks=masks)
        return lambda: policy.act_batch(batch, state, masks)

    def item_bytes(self) -> int:
        """Of one observation."""
        first = self.observations[0]
        return sum(np.asarray(p).nbytes for p in (first.values() if _keyed(first) else [first]))

    def warm_up(self, span_s: float) -> None:
        """Decide until 200 decisions have been made and `span_s` seconds have passed."""
        decide, calls, stop = self.decider(), 0, time.perf_counter() + span_s
        while calls < WARM_UP_CALLS or time.perf_counter() < stop:
            decide()
            calls += 1

    def batch_mismatch_rate(self) -> float:
        """Share of actions that change when 64 observations are decided on together."""
        policy, state = self.policy, self.policy.reset()
        alone = np.stack([np.asarray(self.act(o, state)[0]) for o in self.observations])
        batched = []
        for start in range(0, len(self.observations), MISMATCH_BATCH):
            some = self.observations[start : start + MISMATCH_BATCH]
            masks = all_allowed(policy, len(some))
            batched.append(policy.act_batch(stack(some, len(some)), action_masks=masks)[0])
        return mismatch_rate(alone, np.concatenate(batched), tolerance(policy.action_space))


def load(folder: Path, step_limit: int, imports: tuple[str, ...]) -> Loaded:
    """Load a policy and let it play until there are observations."""
    start = time.perf_counter()
    policy = load_policy(folder, THREADS)
    load_s = time.perf_counter() - start
    observations, rate = _roll(policy, step_limit, imports)
    masks, act = all_allowed(policy, 1), policy.act
    if masks is not None:
        act = functools.partial(policy.act, action_mask=masks[0])
    return Loaded(policy, act, observations, rate, load_s)


def _roll(
    policy: FrozenPolicy, step_limit: int, imports: tuple[str, ...]
) -> tuple[list[Any], float]:
    """Real observations, and the rate at which a whole step runs."""
    env = episodes.make_for(policy, imports=imports)
    limit = episodes.step_limit(env, step_limit)
    seen: list[Any] = []
    seed, steps, start = 0, 0, time.perf_counter()
    # A slow environment stops early, but never before all observations are there.
    while steps < _OBSERVATIONS or (
        steps < _ROLLOUT_STEPS and time.perf_counter() < start + _ROLLOUT_S
    ):
        for observation, *_ in episodes.rollout(env, policy, seed, limit):
            steps += 1
            if len(seen) < _OBSERVATIONS:
                seen.append(observation)
        seed += 1
    rate = steps / (time.perf_counter() - start)
    env.close()
    order = seeding.generator(0, "speed").permutation(len(seen))
    return [seen[i] for i in order], rate


def stack(observations: Sequence[Any], size: int) -> Any:
    """A batch of `size` observations, repeated where there are fewer."""
    some = [observations[i % len(observations)] for i in range(size)]
    if _keyed(some[0]):
        return {key: np.stack([o[key] for o in some]) for key in some[0]}
    return np.stack(some)


def tolerance(action_space: Any) -> Any:
    """The largest difference of two actions that still counts as none; 0 for discrete ones."""
    if not hasattr(action_space, "high"):
        return 0.0
    span = np.asarray(action_space.high, float) - np.asarray(action_space.low, float)
    return _TOLERANCE * np.where(np.isfinite(span), span, 1.0)


def _keyed(observation: Any) -> bool:
    return isinstance(observation, dict)


def all_allowed(policy: FrozenPolicy, count: int) -> Any:
    """Masks that allow everything, `[count, choices]`; None for a policy without masks."""
    if not policy.card.action_masks:
        return None
    return np.ones((count, mask_width(policy.card.action_space)), bool)

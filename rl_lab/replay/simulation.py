"""Living a recorded episode again, and saying whether it is the same."""

from __future__ import annotations

import contextlib
import dataclasses
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium

from rl_lab import provenance, shifts, spaces
from rl_lab.environments import CheckedEnv, EnvironmentRecipe
from rl_lab.errors import BadInput, EnvironmentFault
from rl_lab.frozen_policy import array_type
from rl_lab.replay.chain import link, mark
from rl_lab.replay.recording import Replay


@dataclasses.dataclass(frozen=True)
class Moment:
    """The world after some of the recorded actions.

    Attributes:
        step: How many actions; 0 is after the reset.
        action: The latest one; None after the reset.
        reward: What it earned.
        episode_return: The rewards so far.
        ended: `terminated`, `truncated`, or "" where the episode goes on.
        difference: How this moment differs from the recorded one, as a clause; "" if it does not.
    """

    step: int
    action: Any
    reward: float
    episode_return: float
    ended: str
    difference: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether an episode, lived again, was the recorded one to the bit.

    Attributes:
        step: The first step that differs; None where none does.
        what: How it differs, as a clause.
        length: Steps of the recording.
        suspects: Versions and machine facts that are not those of the recording.
    """

    step: int | None
    what: str
    length: int
    suspects: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether every observation, reward and ending is the recorded one, to the bit."""
        return self.step is None

    def __str__(self) -> str:
        if self.identical:
            return f"bit-identical over {self.length} steps"
        suspects = f" ({'; '.join(self.suspects)})" if self.suspects else ""
        return f"differs from step {self.step} of {self.length} on: {self.what}{suspects}"


@contextlib.contextmanager
def fresh_env(
    replay: Replay, render_mode: str | None, imports: Sequence[str]
) -> Iterator[gymnasium.Env[Any, Any]]:
    """A fresh environment in the recording's context, closed in the end.

    Raises:
        BadInput: It cannot be made, or does not take the recorded actions.
    """
    recipe = EnvironmentRecipe.from_data(replay.environment)
    context = shifts.NOMINAL
    if replay.shift is not None:
        context = shifts.shifted(shifts.from_data(replay.shift), replay.delta)
    env: gymnasium.Env[Any, Any] = shifts.make(recipe, context, render_mode, imports)
    try:
        _require_fit(env, replay)
        yield CheckedEnv(env)
    finally:
        env.close()


def _require_fit(env: gymnasium.Env[Any, Any], replay: Replay) -> None:
    shape, dtype = array_type(spaces.to_data(env.action_space))
    found = replay.actions.shape[1:], replay.actions.dtype
    if found != (shape, dtype):
        raise BadInput(
            f"recorded actions of shape {found[0]} and type {found[1]}",
            f"{shape} and {dtype}, as {replay.environment['id']} takes them",
            "The environment's version differs from the recording's, or the file was changed.",
        )


def simulate(env: gymnasium.Env[Any, Any], replay: Replay) -> Iterator[Moment]:
    """Take the recorded actions one by one, until the episode or the recording ends.

    Args:
        env: As from `fresh_env`.
        replay: The recording.

    Raises:
        EnvironmentFault: The environment failed on the way.
    """
    # Where the environment's own limit is further away, the recorder's ended the episode.
    limit = env.spec.max_episode_steps if env.spec else None
    observation, _ = env.reset(seed=replay.seed)
    digest, total = link(b"", observation), 0.0
    yield Moment(0, None, 0.0, 0.0, "", _difference(replay, 0, digest, None, ""))
    for step, action in enumerate(replay.actions, 1):
        observation, reward, terminated, truncated, _ = env.step(action.copy())
        digest, reward = link(digest, observation), float(reward)
        total += reward
        own = limit is not None and step >= limit
        cut = step == replay.length and replay.truncated and not own
        ended = "terminated" if terminated else "truncated" if truncated or cut else ""
        difference = _difference(replay, step, digest, reward, ended)
        yield Moment(step, action, reward, total, ended, difference)
        if ended:
            return


def _difference(replay: Replay, step: int, digest: bytes, reward: float | None, ended: str) -> str:
    if reward is not None:
        recorded = float(replay.rewards[step - 1])
        if struct.pack("d", reward) != struct.pack("d", recorded):
            return f"reward {reward!r} instead of {recorded!r}"
    if mark(digest) != replay.marks[step]:
        return "another observation"
    expected = replay.ended if step == replay.length else ""
    if ended != expected:
        return f"the episode {ended or 'goes on'} instead of {expected or 'going on'}"
    if step == replay.length and digest.hex() != replay.observations_sha256:
        return "another hash over all observations"
    return ""


def verify(replay: Replay, imports: Sequence[str] = ()) -> Verdict:
    """Live the episode again in a fresh environment and compare every step, to the bit.

    Args:
        replay: The recording.
        imports: Packages that register environments.

    Raises:
        BadInput: The environment cannot be made, or does not take the recorded actions.
    """
    with fresh_env(replay, None, imports) as env:
        try:
            for moment in simulate(env, replay):
                if moment.difference:
                    return verdict(replay, moment)
        except EnvironmentFault as fault:
            return Verdict(fault.where[3], f"the environment {fault.where[4]}", *_rest(replay))
    return verdict(replay, None)


def verdict(replay: Replay, first: Moment | None) -> Verdict:
    """The verdict whose first differing moment is `first`; None where there is none."""
    step, what = (first.step, first.difference) if first else (None, "")
    return Verdict(step, what, *_rest(replay))


def _rest(replay: Replay) -> tuple[int, tuple[str, ...]]:
    now = {**provenance.versions(), **provenance.machine()}
    suspects = [
        f"recorded with {name} {then}, here {now[name]}"
        for name, then in replay.recorded_with.items()
        if name in now and now[name] != then
    ]
    return replay.length, tuple(suspects)

"""Which strategy brings an environment back exactly; found by trying, not by believing.

Copying an environment often fails without an error (a MuJoCo or Box2D environment copies only its
constructor's arguments), and a used environment may differ from a fresh one (BipedalWalker-v3
keeps its physics world). So a strategy is taken only if a restored environment gives the same
bytes as the original for a stretch of random actions that crosses ends of episodes.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from rl_lab.environments import CheckedEnv, applied
from rl_lab.errors import Unanswered
from rl_lab.states.decoding import decode
from rl_lab.states.encoding import encode
from rl_lab.states.strategies import BARRIER, REPLAY, RESET, SNAPSHOT, Env, MakeEnv, prepared

_ROUNDS, _INTO_EPISODE, _COMPARED = 4, 11, 16
_SEED = 20_011  # of the probe's own environments and actions


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the probe found.

    Attributes:
        strategy: SNAPSHOT, REPLAY or BARRIER, the first that holds; RESET where none does.
        exact: Whether it brings environments back to the last bit.
        reasons: Why not the strategies before it, and why not exact, as clauses.
        fails: Whether it is not exact because it fails when tried, not for differing from itself.
    """

    strategy: str
    exact: bool
    reasons: tuple[str, ...]
    fails: bool = False


def probe(make_env: MakeEnv, wrappers: Sequence[Mapping[str, Any]] = ()) -> Verdict:
    """Find the first strategy that holds; random streams of the process are left as they were.

    Args:
        make_env: Makes one environment.
        wrappers: What goes around what a strategy needs, innermost first.

    Raises:
        Unanswered: The environment hangs, and somebody watches.
    """
    reasons: list[str] = []
    with _streams_kept():
        for strategy in (SNAPSHOT, REPLAY):
            difference, _ = _try(_restored, make_env, strategy, wrappers)
            if not difference:
                return Verdict(strategy, True, tuple(reasons))
            reasons.append(f"{strategy}: {difference}")
        difference, fails = _try(_repeated, make_env, BARRIER, wrappers)
    if difference:
        # Then episodes are not cut for a promise that cannot be kept.
        reasons.append(f"two fresh environments with one seed: {difference}")
        return Verdict(RESET, False, tuple(reasons), fails)
    return Verdict(BARRIER, True, tuple(reasons))


def _try(
    check: Any, make_env: MakeEnv, strategy: str, wrappers: Sequence[Mapping[str, Any]]
) -> tuple[str, bool]:
    """The first difference, "" for none, and whether it is that the environment raises."""
    made: list[Env] = []

    def make() -> Env:
        env: Env = CheckedEnv(prepared(make_env, strategy)())
        for wrapper in wrappers:
            env = applied(env, wrapper)
        made.append(env)
        return env

    try:
        return str(check(make)), False
    except Unanswered:
        raise
    except Exception as error:
        return f"raises {type(error).__name__}: {' '.join(str(error).split())[:120]}", True
    finally:
        for env in made:
            with contextlib.suppress(Exception):
                env.close()


@contextlib.contextmanager
def _streams_kept() -> Iterator[None]:
    torch: Any = sys.modules.get("torch")
    before = random.getstate(), np.random.get_state()
    words = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        if torch:
            torch.set_rng_state(words)


def _restored(make: MakeEnv) -> str:
    """Compare an environment with fresh ones that were brought to the same state.

    Every comparison has more episodes behind it than the one before, in turn an odd and an even
    number: an environment that is not rebuilt by its reset may look right after every second.
    """
    used = _Used(make())
    for history in range(_ROUNDS):
        used.walk(_INTO_EPISODE)
        used.reset_until(odd=history % 2 == 1)
        arrays: dict[str, np.ndarray] = {}
        data = json.loads(json.dumps(encode(used.env, arrays, "probe")))
        other = make()
        other.reset(seed=_SEED + 1)
        # The arrays as a file gives them back: not the objects that the original holds.
        decode(data, {k: v.copy() for k, v in arrays.items()}, other)
        if difference := _difference(used, other):
            return difference
    return ""


class _Used:
    """An environment in use, with random actions for it and a count of its resets."""

    def __init__(self, env: Env) -> None:
        self.env, self.actions, self.resets = env, _Actions(env), 0
        self.first = self.reset(seed=_SEED)

    def reset(self, seed: int | None = None) -> Any:
        self.resets += 1
        return self.env.reset(seed=seed)[0]

    def walk(self, steps: int) -> None:
        for _ in range(steps):
            if _ended(self.env.step(self.actions(self.env))):
                self.reset()

    def reset_until(self, odd: bool) -> None:
        for _ in range(2 * _ROUNDS):
            if self.resets % 2 == odd:
                return
            self.reset()
            self.walk(2)


def _repeated(make: MakeEnv) -> str:
    """Compare two fresh environments that get the same seed."""
    one, other = _Used(make()), make()
    if _bytes(one.first) != _bytes(other.reset(seed=_SEED)[0]):
        return "the first observation differs"
    return _difference(one, other)


def _difference(used: _Used, other: Env) -> str:
    for step in range(_COMPARED):
        action = used.actions(used.env)
        one, two = used.env.step(action), other.step(action)
        names = ("observation", "reward", "terminated", "truncated")
        for name, a, b in zip(names, one, two, strict=False):
            if _bytes(a) != _bytes(b):
                return f"the {name} differs {step + 1} steps later"
        # Once more across the end of an episode, natural or not.
        crosses = _ended(one) or step == _COMPARED // 2
        if crosses and _bytes(used.reset()) != _bytes(other.reset()[0]):
            return f"the reset {step + 1} steps later differs"
    return ""


def _ended(result: tuple[Any, ...]) -> bool:
    return bool(result[2] or result[3])


def _bytes(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"".join(_bytes(value[key]) for key in sorted(value))
    return np.asarray(value).tobytes()


class _Actions:
    """Random actions, legal ones where the environment says which are."""

    def __init__(self, env: Env) -> None:
        self._space = copy.deepcopy(env.action_space)
        self._space.seed(_SEED)
        self._generator = np.random.default_rng(_SEED)

    def __call__(self, env: Env) -> Any:
        if not env.has_wrapper_attr("action_masks"):
            return self._space.sample()
        mask = np.asarray(env.get_wrapper_attr("action_masks")(), bool)
        if isinstance(self._space, gymnasium.spaces.Discrete):
            return np.int64(self._choose(mask))
        sizes = getattr(self._space, "nvec", np.full(self._space.shape or (), 2))
        parts = np.split(mask, np.cumsum(sizes)[:-1])
        return np.array([self._choose(part) for part in parts], self._space.dtype)

    def _choose(self, mask: np.ndarray) -> int:
        return int(self._generator.choice(np.flatnonzero(mask)))

"""Environment recipes: the one source of environments for training, evaluation and replay."""

from __future__ import annotations

import collections
import dataclasses
import importlib
import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Protocol

import gymnasium
import numpy as np

from rl_lab import spaces
from rl_lab.errors import BadInput, EnvironmentFault, Failed, Unanswered, closest

_RECENT = 100  # transitions kept for a crash report
# Packages whose wrappers a recipe may name without the user saying that they are trusted.
_TRUSTED_WRAPPERS = ("gymnasium.wrappers.", "rl_lab.")
_WRITING_WRAPPERS = ("RecordVideo",)
_EXTRAS = {"Box2D": "box2d", "box2d": "box2d", "mujoco": "mujoco", "ale_py": "atari"}


@dataclasses.dataclass(frozen=True)
class EnvironmentRecipe:
    """Everything that makes an environment, as plain data.

    Attributes:
        id: A registered Gymnasium id.
        kwargs: Keyword arguments of the environment's constructor.
        wrappers: `{name: dotted.path.Wrapper, kwargs: {...}}`, innermost first.
        max_episode_steps: A step limit in place of the registered one; None keeps that.
    """

    id: str
    kwargs: Mapping[str, Any]
    wrappers: tuple[Mapping[str, Any], ...]
    max_episode_steps: int | None

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> EnvironmentRecipe:
        """Read back what `to_data` gave."""
        return cls(
            str(data["id"]),
            dict(data["kwargs"]),
            tuple(dict(w) for w in data["wrappers"]),
            data["max_episode_steps"],
        )

    def to_data(self) -> dict[str, Any]:
        """The recipe as JSON-ready data."""
        return {**dataclasses.asdict(self), "wrappers": [dict(w) for w in self.wrappers]}


@dataclasses.dataclass(frozen=True)
class Anchors:
    """Returns that give an environment's scale, and its clock.

    Attributes:
        random: Mean return of uniformly random actions.
        solved: Return at which the task counts as solved; None where none is declared.
        ceiling: Highest attainable return; None where none is known.
        control_period_s: Seconds of simulated time per decision; None where time has no unit.
    """

    random: float
    solved: float | None
    ceiling: float | None
    control_period_s: float | None


def register(packages: Iterable[str]) -> None:
    """Import the user's packages, so that their environments are registered.

    Raises:
        BadInput: A package cannot be imported.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise BadInput(
                f"package {package!r} cannot be imported: {error}",
                "an installed package that registers environments",
                "Install it where rl-lab is installed, or take it out of the imports.",
            ) from error


def require_known(environment: str) -> None:
    """Refuse an id that is not registered.

    Raises:
        BadInput: The id is unknown, or would import a module.
    """
    if environment in gymnasium.registry:
        return
    if ":" in environment:
        raise BadInput(
            f"environment id {environment!r} names a module to import",
            "a registered Gymnasium id",
            f"Give env.imports=[{environment.split(':')[0]}] and the id without it.",
        )
    raise BadInput(
        f"unknown environment {environment!r}",
        "a registered Gymnasium id",
        closest(environment, gymnasium.registry)
        or "If a package of yours registers it, name that: imports=[PACKAGE].",
    )


def make(
    recipe: EnvironmentRecipe,
    render_mode: str | None = None,
    imports: Iterable[str] = (),
    put_in: Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]] | None = None,
) -> gymnasium.Env[Any, Any]:
    """Make one environment.

    Args:
        recipe: What to make.
        render_mode: As for `gymnasium.make`.
        imports: Packages the user trusts; wrappers in them may be named by the recipe.
        put_in: Changes the world below the recipe's wrappers, which are the agent's own.

    Raises:
        BadInput: The id is unknown, an argument is refused, or a package is missing.
    """
    register(imports)
    require_known(recipe.id)
    options: dict[str, Any] = dict(recipe.kwargs)
    if recipe.max_episode_steps is not None:
        options["max_episode_steps"] = recipe.max_episode_steps
    try:
        with warnings.catch_warnings():
            # Gymnasium announces newer versions of an id; the recipe says which one is meant.
            warnings.simplefilter("ignore")
            env = gymnasium.make(
                recipe.id, render_mode=render_mode, disable_env_checker=True, **options
            )
    except Exception as error:
        raise _cannot_make(recipe, error) from error
    if put_in is not None:
        try:
            env = put_in(env)
        except BaseException:
            env.close()
            raise
    for wrapper in recipe.wrappers:
        env = _wrap(env, wrapper, tuple(imports))
    return env


def _cannot_make(recipe: EnvironmentRecipe, error: Exception) -> BadInput:
    missing = isinstance(error, ImportError | gymnasium.error.DependencyNotInstalled)
    extra = next((e for word, e in _EXTRAS.items() if missing and word in _chain(error)), None)
    if extra:
        return BadInput(
            f"environment {recipe.id} needs a package that is not installed",
            f"the extra {extra!r}",
            f'Install it: pip install "rl-lab[{extra}]"',
        )
    text = " ".join(str(error).split())[:300]
    return BadInput(
        f"environment {recipe.id} cannot be made: {type(error).__name__}: {text}",
        "arguments that its constructor takes",
        "Look at env.kwargs and env.max_episode_steps.",
    )


def _chain(error: BaseException) -> str:
    return f"{error} {_chain(error.__cause__) if error.__cause__ else ''}"


def _wrap(
    env: gymnasium.Env[Any, Any], wrapper: Mapping[str, Any], imports: tuple[str, ...]
) -> gymnasium.Env[Any, Any]:
    name = str(wrapper.get("name", ""))
    trusted = (*_TRUSTED_WRAPPERS, *(f"{package}." for package in imports))
    if not name.startswith(trusted):
        raise BadInput(
            f"wrapper {name!r}",
            f"a dotted path that starts with {' or '.join(trusted)}",
            "To use a wrapper of your own, name its package in env.imports=[PACKAGE].",
        )
    return applied(env, wrapper)


def applied(env: gymnasium.Env[Any, Any], wrapper: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    """An environment in a wrapper that the user has named, wherever that comes from.

    Raises:
        BadInput: It cannot be imported, is none, or refuses its arguments.
    """
    name = str(wrapper.get("name", ""))
    module, _, attribute = name.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), attribute)
        if not (isinstance(kind, type) and issubclass(kind, gymnasium.Wrapper)):
            raise TypeError("no gymnasium.Wrapper")
        if attribute in _WRITING_WRAPPERS:
            raise TypeError("it writes files, and a policy's card must not choose where")
        wrapped: gymnasium.Env[Any, Any] = kind(env, **wrapper.get("kwargs", {}))
    except Exception as error:
        raise BadInput(
            f"wrapper {name} cannot be applied: {type(error).__name__}: {error}",
            "a gymnasium.Wrapper and arguments that it takes",
            "Look at env.wrappers.",
        ) from error
    return wrapped


class Answering(Protocol):
    """What is waited for."""

    def unanswered(self, seconds: float) -> Failed:
        """The error where it has been waited for too long; it is waited for no more."""


class CheckedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Turns whatever goes wrong in an environment into one `EnvironmentFault` that says where.

    Args:
        env: The environment to watch.
    """

    not_checkpointed = ("_recent",)
    # What this process waits for, and since when by the monotonic clock. In a list: to set an
    # attribute of a class makes the interpreter look all of them up anew.
    at_work: ClassVar[list[tuple[Answering, float] | None]] = [None]

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._id = env.spec.id if env.spec else type(env.unwrapped).__name__
        self._seed: int | None = None
        self._episode = self._step = 0
        self._recent: collections.deque[Any] = collections.deque(maxlen=_RECENT)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset, remembering the seed."""
        if seed is not None:
            self._seed, self._episode = seed, 0
        self._episode += 1
        self._step = 0
        CheckedEnv.at_work[0] = self, time.monotonic()
        try:
            observation, info = self.env.reset(seed=seed, options=options)
        except EnvironmentFault:
            raise
        except Exception as error:
            raise self.fault(f"raised {type(error).__name__}: {error}") from error
        CheckedEnv.at_work[0] = None
        self._check(observation)
        return observation, info

    def step(self, action: Any) -> Any:
        """Step, checking what comes back."""
        self._step += 1
        CheckedEnv.at_work[0] = self, time.monotonic()
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
            finite = math.isfinite(reward)
        except EnvironmentFault:
            raise
        except Exception as error:
            self._recent.append((action, None, math.nan))
            raise self.fault(f"raised {type(error).__name__}: {error}") from error
        CheckedEnv.at_work[0] = None
        # Copied: some environments go on writing into what they returned.
        plain = observation.copy() if isinstance(observation, np.ndarray) else None
        self._recent.append((action, plain, reward))
        self._check(observation)
        if not finite:
            raise self.fault(f"returned the reward {reward}")
        return observation, reward, terminated, truncated, info

    def _check(self, observation: Any) -> None:
        if text := observation_fault(self.observation_space, observation):
            raise self.fault(text)

    def unanswered(self, seconds: float) -> EnvironmentFault:
        """The fault of an environment that has been at work for too long."""
        fault = Unanswered(
            self._id, self._seed, self._episode, self._step, f"has not answered for {seconds:.0f} s"
        )
        fault.evidence = self.recent()
        return fault

    def note(self, step: int) -> CheckedEnv:
        """Take over the count of this episode's steps from whoever steps what is inside."""
        self._step = step
        return self

    def keeper(self) -> Callable[[tuple[Any, Any, float]], None]:
        """What takes over an action with the observation (a copy) and the reward it led to."""
        return self._recent.append

    def fault(self, what: str) -> EnvironmentFault:
        """What is wrong, and where in which episode, with the last transitions."""
        fault = EnvironmentFault(self._id, self._seed, self._episode, self._step, what)
        fault.evidence = self.recent()
        return fault

    def recent(self) -> dict[str, np.ndarray]:
        """The last transitions: `actions`, `rewards`, and `observations` where they stack."""
        if not self._recent:
            return {}
        actions, observations, rewards = zip(*self._recent, strict=True)
        found = {"actions": np.stack(actions), "rewards": np.array(rewards, np.float64)}
        arrays = [o for o in observations if isinstance(o, np.ndarray)]
        if arrays and len({array.shape for array in arrays}) == 1:
            found["observations"] = np.stack(arrays)
        return found


def observation_fault(space: gymnasium.Space[Any], observation: Any) -> str:
    """What is wrong with an observation, as a clause; "" where nothing is."""
    if isinstance(space, gymnasium.spaces.Dict):
        if not isinstance(observation, dict) or set(observation) != set(space.spaces):
            return f"returned an observation that is not a dict of {sorted(space.spaces)}"
        faults = (observation_fault(s, observation[k]) for k, s in space.spaces.items())
        return next(filter(None, faults), "")
    array = np.asarray(observation)
    if array.shape != space.shape:
        return f"returned an observation of shape {array.shape} instead of {space.shape}"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return "returned an observation with NaN or infinite values"
    return ""


def require_supported(env: gymnasium.Env[Any, Any]) -> None:
    """Refuse an environment whose spaces cannot be learned in and frozen.

    Raises:
        BadInput: A space is of another kind, or its numbers are of a type that is not supported.
    """
    _, action = space_data(env)
    space = env.action_space
    # Half precision is coarser than what a frozen policy may differ from its source by.
    coarse = action["kind"] == "box" and space.dtype not in (np.float32, np.float64)
    narrow = action["kind"] == "multi_discrete" and space.dtype != np.int64
    if coarse or narrow:
        raise BadInput(
            f"actions of the type {space.dtype} in {space}",
            "float32 or float64 for Box, int64 for MultiDiscrete",
            "Wrap the environment with gymnasium.wrappers.TransformAction.",
        )


def space_data(env: gymnasium.Env[Any, Any]) -> tuple[spaces.SpaceData, spaces.SpaceData]:
    """Observation and action space of an environment as plain data."""
    return spaces.to_data(env.observation_space), spaces.to_data(env.action_space)

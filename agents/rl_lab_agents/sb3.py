"""Every stable-baselines3 algorithm as an agent; what differs between them stands in YAML."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import gymnasium
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from rl_lab import states
from rl_lab.agent import Listener, TracedPolicy, Training
from rl_lab.environments import require_supported
from rl_lab.errors import BadInput, LabError
from rl_lab.states import State
from rl_lab_agents import (
    acting,
    candidates,
    devices,
    health,
    hooks,
    hyperparameters,
    learning,
    networks,
    parallel,
    remembering,
    renewing,
)
from rl_lab_agents.naming import resolve
from rl_lab_agents.schedules import Schedule
from rl_lab_agents.vectorizing import vectorized, watched


def make(
    make_env: Callable[[], gymnasium.Env[Any, Any]],
    training: Training,
    seed: int,
    *,
    algorithm: str,
    policy: str,
    **settings: Any,
) -> Sb3Agent:
    """Build an agent around a stable-baselines3 algorithm.

    Args:
        make_env: Makes one environment.
        training: Normalisation, stacking, number of environments.
        seed: Of the algorithm; environment i starts from this plus i.
        algorithm: Dotted path of the algorithm's class.
        policy: A name the algorithm knows ("MlpPolicy") or the dotted path of a class.
        settings: Hyperparameters: keywords of the algorithm; None leaves its own default.

    Raises:
        BadInput: The algorithm refuses the spaces or a hyperparameter.
    """
    kind = resolve(algorithm)
    _require_playable(kind, make_env)
    env: VecEnv | None = None
    try:
        env = vectorized(make_env, training, _gamma(kind, settings))
        typed = hyperparameters.typed(kind, settings, env)
        model = kind(
            resolve(policy) if "." in policy else policy,
            env,
            seed=seed,
            device=devices.require(training.device, kind),
            **typed.keywords,
        )
        if training.parallel_updates:
            parallel.require_possible(model)
        candidates.play_side_by_side(model)
    except LabError:
        _close(env)
        raise
    except Exception as error:
        _close(env)
        raise BadInput(
            f"{kind.__name__} refuses its settings: {' '.join(str(error).split())[:300]}",
            "hyperparameters and spaces that the algorithm takes",
            "Look at the agent.* and training.* values of this run.",
        ) from error
    return Sb3Agent(model, algorithm, training, make_env, typed.live)


def _gamma(kind: Any, settings: Mapping[str, Any]) -> float:
    """The discount that reward normalisation shares with the algorithm; ARS has none."""
    given = settings.get("gamma")
    if isinstance(given, int | float):
        return float(given)
    own = inspect.signature(kind.__init__).parameters.get("gamma")
    return float(own.default) if own else 1.0


def _close(env: VecEnv | None) -> None:
    if env is not None:
        env.close()


def _require_playable(kind: Any, make_env: Callable[[], gymnasium.Env[Any, Any]]) -> None:
    """Refuse before learning what could not be frozen or played after it."""
    env = make_env()
    try:
        require_supported(env)
        has_masks = env.has_wrapper_attr("action_masks")
    finally:
        env.close()
    needs_masks = "action_masks" in inspect.signature(kind.predict).parameters
    if needs_masks and not has_masks:
        raise BadInput(
            f"{env.spec.id if env.spec else env} has no action_masks()",
            "an environment that says which actions are allowed",
            "Use agent=ppo, or add action_masks() to the environment or to a wrapper of it.",
        )


class Sb3Agent:
    """An agent whose learning is stable-baselines3's own.

    Args:
        model: The algorithm, bound to its environments.
        algorithm: The dotted path of its class, for the card.
        training: What to log while it learns.
        make_env: Makes one more environment like those of the model.
        live: Schedules that the algorithm does not follow by itself.
    """

    def __init__(
        self,
        model: BaseAlgorithm,
        algorithm: str,
        training: Training,
        make_env: Callable[[], gymnasium.Env[Any, Any]],
        live: Mapping[str, Schedule],
    ) -> None:
        self._model = model
        self._algorithm = algorithm
        self._training, self._live = training, live
        self._make_env = make_env
        self._updates = _count_updates(model)
        # What the callbacks of `learn` count; kept here, as `learn` makes them anew.
        self._counts: dict[str, int] = {}
        self._restored: tuple[State, Collection[str]] | None = None
        self._lost: list[str] = []
        self._rows = self._rows_at = 0

    def learn(self, steps: int, listener: Listener) -> None:
        """Learn until `steps` environment steps are done in all, or the listener says stop."""
        model = self._model
        metrics = hooks.MetricsWriter(listener)
        model.set_logger(Logger(None, [metrics]))

        def boundary(step: int) -> bool:
            metrics.flush()
            return listener.boundary(step)

        beside = hooks.hooks(self._training, self._live, listener, self._counts)
        rhythm = hooks.own_rhythm(self._training)
        at_once = self._training.parallel_updates
        try:
            with parallel.updates(model, self._counts) if at_once else contextlib.nullcontext():
                learning.learn(model, steps, self._go_on, boundary, beside, rhythm)
        finally:
            metrics.flush()

    def _go_on(self) -> None:
        """Put back what `learn` of the library has just set up anew."""
        if self._restored is not None:
            remembering.restore_surroundings(self._model, *self._restored, self._lost)
            self._restored = None

    def state(self) -> State:
        """Everything that learning depends on, as it is at a boundary; refused if not finite."""
        health.require_finite_weights(self._model)
        counters = {"updates": self._updates, "counts": self._counts}
        state = remembering.capture(self._model, counters, self._rows_written())
        return dataclasses.replace(state, lost=(*self._lost, *state.lost))

    def restore(self, state: State, parts: Collection[str]) -> None:
        """Take over parts of a state, before learning."""
        counters = remembering.restore(self._model, state, parts, self._lost)
        self._updates.update(counters.get("updates", {}))
        self._counts.update(counters.get("counts", {}))
        if states.REPLAY in parts:
            if states.REPLAY in state.rings:
                self._rows = state.rings[states.REPLAY].written
            if states.ENVIRONMENTS not in parts:
                renewing.truncate_replay(self._model)
        self._rows_at = self._model.num_timesteps
        self._restored = (state, parts)

    def _rows_written(self) -> int:
        """Rows ever written to the replay buffer, which itself counts them modulo its size."""
        buffer: Any = getattr(self._model, "replay_buffer", None)
        if buffer is not None:
            size = buffer.buffer_size
            self._rows += (self._model.num_timesteps - self._rows_at) // self._model.n_envs
            # Should an algorithm store more or less than a row per step, all counts as new.
            if (self._rows - buffer.pos) % size or (self._rows < size) == buffer.full:
                self._rows = (self._rows // size + 2) * size + buffer.pos
            self._rows_at = self._model.num_timesteps
        return self._rows

    def renew_environments(self, seed: int) -> None:
        """At a boundary, put fresh environments in place of all."""
        make_env = functools.partial(watched, self._make_env, self._training)
        renewing.renew(self._model, make_env, seed)

    def policy(self) -> TracedPolicy:
        """The policy as it is now, with a copy of the normaliser's statistics."""
        return acting.traced(self._model, self._algorithm)

    def costs(self) -> Mapping[str, int]:
        """Steps of the busiest optimiser (0 for ARS, which has none) and numbers learned."""
        parameters = sum(p.numel() for p in self._model.policy.parameters())
        updates = max(self._updates.values(), default=0)
        return {"gradient_updates": updates, "parameters": parameters}

    def close(self) -> None:
        """Close its environments; what goes wrong in that no longer matters."""
        with contextlib.suppress(Exception):
            _close(self._model.get_env())


def _count_updates(model: BaseAlgorithm) -> dict[str, int]:
    """Steps of each of the model's optimisers, counted as they happen.

    The library's own counter counts epochs for some algorithms and gradient steps for others.
    """
    counts: dict[str, int] = {}

    def counter(place: str) -> Callable[..., None]:
        def count(*unused: Any) -> None:
            counts[place] = counts.get(place, 0) + 1

        return count

    for place, optimizer in networks.optimizers(model).items():
        optimizer.register_step_post_hook(counter(place))
    return counts


def constructor_defaults(algorithm: str) -> dict[str, Any]:
    """Keyword defaults of an algorithm's constructor, for checking YAML against them."""
    signature = inspect.signature(resolve(algorithm).__init__)
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }

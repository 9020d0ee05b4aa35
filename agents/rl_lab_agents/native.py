"""A Gymnasium vector environment, which steps all its copies at once, as the library takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit
from stable_baselines3.common.vec_env import VecEnv

from rl_lab.errors import BadInput, EnvironmentFault
from rl_lab.states.strategies import Unkept
from rl_lab_agents.out_of_reach import OutOfReach

# Their work is done by the vector environment, or not needed.
_HARMLESS = (OrderEnforcing, PassiveEnvChecker, TimeLimit, Unkept)


class NativeVecEnv(OutOfReach, VecEnv):
    """Steps a Gymnasium vector environment for stable-baselines3.

    Args:
        env: One that resets an episode in the step that ends it, or leaves resetting to others.
        name: Its id, for messages.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], name: str) -> None:
        # The library's constructor asks for the environment's attributes.
        self._env, self._name = env, name
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, np.int64)
        self._actions: Any = None
        self._seed: int | None = None

    @classmethod
    def like(cls, env: gymnasium.Env[Any, Any], count: int) -> NativeVecEnv:
        """The native version of an environment.

        Raises:
            BadInput: There is none, it resets too late, or the environment is wrapped.
        """
        spec = bare_spec(env, "native")
        name = spec.id
        if spec.vector_entry_point is None:
            raise unsuited(f"{name} has no native vector environment", "native")
        limit = env.spec.max_episode_steps if env.spec else None
        settings = {key: value for key, value in spec.kwargs.items() if key != "render_mode"}
        if limit:
            settings["max_episode_steps"] = limit
        made = gymnasium.make_vec(
            spec.id,
            num_envs=count,
            vectorization_mode="vector_entry_point",
            **settings,
        )
        native = cls(made, name)
        if native._mode is AutoresetMode.NEXT_STEP:
            made.close()
            # Its step after an episode's end is no transition, and the library would learn it.
            raise unsuited(f"{name} resets one step after an episode's end", "native")
        return native

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Keep the seed for the next reset; copy i starts from it plus i, or as it sees fit."""
        self._seed = seed
        return super().seed(seed)

    def reset(self) -> Any:
        """Reset all copies."""
        with self.at_work():
            observations, _ = self._env.reset(seed=self._seed)
        self._seed = None
        self._returns[:], self._lengths[:] = 0, 0
        self.reset_infos = [{} for _ in range(self.num_envs)]
        return self._checked(observations)

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Step all copies; where an episode ended, show the next one's beginning."""
        with self.at_work():
            observations, rewards, terminated, truncated, extra = self._env.step(self._actions)
        rewards = np.asarray(rewards, np.float32)
        if not np.isfinite(rewards).all():
            raise self._fault("returned a reward that is not finite")
        dones = terminated | truncated
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if dones.any():
            last = observations
            if self._mode is AutoresetMode.DISABLED:
                last = _copied(observations)
                with self.at_work():
                    observations, _ = self._env.reset(options={"reset_mask": dones})
            else:
                last = extra["final_obs"]
            for i in np.flatnonzero(dones).tolist():
                infos[i] = self._ended(_row(last, i), bool(truncated[i] and not terminated[i]), i)
        return self._checked(observations), rewards, dones, infos

    def _ended(self, observation: Any, cut: bool, i: int) -> dict[str, Any]:
        episode = {"r": float(self._returns[i]), "l": int(self._lengths[i]), "t": 0.0}
        self._returns[i], self._lengths[i] = 0, 0
        return {
            "episode": episode,
            "terminal_observation": observation,
            "TimeLimit.truncated": cut,
        }

    def _checked(self, observations: Any) -> Any:
        parts = observations.values() if isinstance(observations, dict) else [observations]
        for part in parts:
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                raise self._fault("returned an observation with NaN or infinite values")
        return _copied(observations)

    def unanswered(self, seconds: float) -> EnvironmentFault:
        """The fault of copies that have been at work for too long."""
        return self._fault(f"has not answered for {seconds:.0f} s")

    def _fault(self, what: str) -> EnvironmentFault:
        return EnvironmentFault(self._name, None, 0, int(self._lengths.max()), what)

    def close(self) -> None:
        """Close all copies."""
        self._env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the vector environment, once for each copy."""
        value = getattr(self._env, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the vector environment as a whole."""
        setattr(self._env, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kw: Any) -> list[Any]:
        """Call a method of the vector environment, once."""
        value = getattr(self._env, method_name)(*args, **kw)
        return [value for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No copy is wrapped."""
        return [False for _ in self._get_indices(indices)]


def bare_spec(env: gymnasium.Env[Any, Any], way: str) -> Any:
    """What an environment was registered as, if nothing around it concerns a single one.

    Raises:
        BadInput: It is not registered, or wrapped.
    """
    spec = env.unwrapped.spec
    if spec is None:
        raise unsuited(f"{type(env.unwrapped).__name__} is not registered", way)
    layer = env
    while isinstance(layer, gymnasium.Wrapper):
        if not isinstance(layer, _HARMLESS):
            what = f"{spec.id} is wrapped in {type(layer).__name__}, for one environment"
            raise unsuited(what, way)
        layer = layer.env
    return spec


def unsuited(what: str, way: str) -> BadInput:
    """The refusal of an environment that cannot be stepped in this way."""
    return BadInput(
        f"training.vectorization={way}: {what}",
        f"{WAYS[way]}, without wrappers",
        "Use training.vectorization=sync or subprocess.",
    )


WAYS = {
    "native": "an environment registered with a vector_entry_point whose autoreset_mode is "
    "SAME_STEP or DISABLED",
    "envpool": "an environment that EnvPool has, as it is registered",
}


def _row(observations: Any, i: int) -> Any:
    if isinstance(observations, dict):
        return {key: np.array(part[i]) for key, part in observations.items()}
    return np.array(observations[i])


def _copied(observations: Any) -> Any:
    if isinstance(observations, dict):
        return {key: np.array(part) for key, part in observations.items()}
    return np.array(observations)

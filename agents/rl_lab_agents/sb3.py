"""Every stable-baselines3 algorithm as an agent; what differs between them stands in YAML."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack, VecNormalize

from rl_lab.agent import Listener, TracedPolicy, Training
from rl_lab.environments import CheckedEnv, require_supported
from rl_lab.errors import BadInput, LabError
from rl_lab_agents import acting, hooks, schedules


def make(
    make_env: Callable[[], gymnasium.Env[Any, Any]],
    training: Training,
    seed: int,
    *,
    algorithm: str,
    policy: str,
    **hyperparameters: Any,
) -> Sb3Agent:
    """Build an agent around a stable-baselines3 algorithm.

    Args:
        make_env: Makes one environment.
        training: Normalisation, stacking, number of environments.
        seed: Of the algorithm; environment i starts from this plus i.
        algorithm: Dotted path of the algorithm's class.
        policy: A name the algorithm knows ("MlpPolicy") or the dotted path of a class.
        hyperparameters: Keywords of the algorithm; None leaves its own default.

    Raises:
        BadInput: The algorithm refuses the spaces or a hyperparameter.
    """
    kind = resolve(algorithm)
    _require_playable(kind, make_env)
    env: VecEnv | None = None
    try:
        env = _vectorize(make_env, training, _gamma(kind, hyperparameters))
        model = kind(
            resolve(policy) if "." in policy else policy,
            env,
            seed=seed,
            device="cpu",
            **schedules.typed(hyperparameters, env.action_space),
        )
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
    return Sb3Agent(model, algorithm, training)


def _gamma(kind: Any, hyperparameters: Mapping[str, Any]) -> float:
    """The discount that reward normalisation shares with the algorithm; ARS has none."""
    given = hyperparameters.get("gamma")
    if given is not None:
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
    if "Maskable" in kind.__name__ and not has_masks:
        raise BadInput(
            f"{env.spec.id if env.spec else env} has no action_masks()",
            "an environment that says which actions are allowed",
            "Use agent=ppo, or add action_masks() to the environment or to a wrapper of it.",
        )


def resolve(path: str) -> Any:
    """What a dotted path names.

    Raises:
        BadInput: There is nothing by that name.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(f"{path!r} cannot be imported: {error}", "package.module.Name") from error


def _vectorize(
    make_env: Callable[[], gymnasium.Env[Any, Any]], training: Training, gamma: float
) -> VecEnv:
    env: VecEnv = DummyVecEnv([lambda: Monitor(CheckedEnv(make_env()))] * training.n_envs)
    if training.normalize_observation or training.normalize_reward:
        env = VecNormalize(
            env,
            norm_obs=training.normalize_observation,
            norm_reward=training.normalize_reward,
            gamma=gamma,
        )
    if training.frame_stack > 1:
        env = VecFrameStack(env, training.frame_stack)
    return env


class Sb3Agent:
    """An agent whose learning is stable-baselines3's own.

    Args:
        model: The algorithm, bound to its environments.
        algorithm: The dotted path of its class, for the card.
        training: What to log while it learns.
    """

    def __init__(self, model: BaseAlgorithm, algorithm: str, training: Training) -> None:
        self._model = model
        self._training = training
        self._algorithm = algorithm
        self._normalizer = model.get_vec_normalize_env()
        self._updates = _count_updates(model)

    def learn(self, steps: int, listener: Listener) -> None:
        """Learn for `steps` environment steps, or until the listener says stop."""
        self._model.set_logger(Logger(None, [_MetricsWriter(listener)]))
        with contextlib.suppress(_Stopped):
            self._model.learn(
                steps,
                callback=[*hooks.hooks(self._training, listener), _Boundary(listener)],
                reset_num_timesteps=False,
                **hooks.own_rhythm(self._training),
            )
        # The algorithm dumps at its own interval; what came after the last dump is kept too.
        self._model.logger.dump(self._model.num_timesteps)
        listener.boundary(self._model.num_timesteps)

    def save(self, folder: Path) -> None:
        """Leave weights and optimiser (`parameters.pt`) and normaliser (`normalizer.npz`)."""
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self._model.get_parameters(), folder / "parameters.pt")
        if self._normalizer is not None:
            np.savez(folder / "normalizer.npz", allow_pickle=False, **_statistics(self._normalizer))

    def policy(self) -> TracedPolicy:
        """The policy as it is now, with a copy of the normaliser's statistics."""
        return acting.traced(self._model, self._algorithm)

    def costs(self) -> Mapping[str, int]:
        """Steps of the busiest optimiser (0 for ARS, which has none) and numbers learned."""
        parameters = sum(p.numel() for p in self._model.policy.parameters())
        updates = max(self._updates.values(), default=0)
        return {"gradient_updates": updates, "parameters": parameters}


def _count_updates(model: BaseAlgorithm) -> dict[int, int]:
    """Steps of each of the model's optimisers, counted as they happen.

    The library's own counter counts epochs for some algorithms and gradient steps for others.
    """
    counts: dict[int, int] = {}

    def counter(key: int) -> Callable[..., None]:
        def count(*unused: Any) -> None:
            counts[key] = counts.get(key, 0) + 1

        return count

    policy: Any = model.policy
    holders = (policy, getattr(policy, "actor", None), getattr(policy, "critic", None))
    for holder in holders:
        optimizer = getattr(holder, "optimizer", None)
        if isinstance(optimizer, torch.optim.Optimizer):
            optimizer.register_step_post_hook(counter(id(optimizer)))
    return counts


def _statistics(normalizer: VecNormalize) -> dict[str, np.ndarray]:
    arrays = {"returns": normalizer.returns}
    for name in ("obs_rms", "ret_rms"):
        moments: Any = getattr(normalizer, name, None)
        if moments is not None:
            arrays |= {
                f"{name}.{k}": np.asarray(getattr(moments, k)) for k in ("mean", "var", "count")
            }
    return arrays


class _MetricsWriter(KVWriter):
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
        """Hand on the numbers of one dump."""
        numbers = {
            k: float(v) for k, v in key_values.items() if isinstance(v, int | float | np.number)
        }
        if numbers:
            self._listener.metrics(step, numbers)

    def close(self) -> None:
        """Nothing is held open."""


class _Stopped(Exception):
    """The listener said stop. A callback's False would take one more step, and ARS ignores it."""


class _Boundary(BaseCallback):
    """Calls the listener where the weights are whole: after `train()`, before new steps."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener

    def _on_rollout_start(self) -> None:
        if not self._listener.boundary(self.num_timesteps):
            raise _Stopped

    def _on_step(self) -> bool:
        return True


def constructor_defaults(algorithm: str) -> dict[str, Any]:
    """Keyword defaults of an algorithm's constructor, for checking YAML against them."""
    signature = inspect.signature(resolve(algorithm).__init__)
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }

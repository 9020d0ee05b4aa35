"""EnvPool's environments, compiled and stepped all at once, as the library takes them.

They are written anew in C++: the same rules, another stream of random numbers, and numbers that may
differ in their last digits. So they train and nothing else; selection and evaluation step
Gymnasium's. Source: https://arxiv.org/abs/2206.10558
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv

from rl_lab.errors import BadInput
from rl_lab_agents.native import NativeVecEnv, bare_spec, unsuited

WAY = "envpool"


def like(env: gymnasium.Env[Any, Any], count: int) -> NativeVecEnv:
    """EnvPool's version of an environment, stepped by as many threads as torch has.

    Args:
        env: One environment, without wrappers or settings of its own.
        count: Copies.

    Raises:
        BadInput: EnvPool is not installed or has no such environment, or the environment is
            wrapped, or shows or takes something else than EnvPool's.
    """
    spec = bare_spec(env, WAY)
    envpool = _imported()
    if spec.id not in envpool.list_all_envs():
        raise unsuited(f"EnvPool {envpool.__version__} has no {spec.id}", WAY)
    if set(spec.kwargs) - {"render_mode"}:
        raise unsuited(f"{spec.id} has settings of its own ({', '.join(spec.kwargs)})", WAY)
    limit = env.spec.max_episode_steps if env.spec else None
    if limit is None:
        raise unsuited(f"{spec.id} has no step limit, and EnvPool would give it one", WAY)
    threads = min(count, torch.get_num_threads())
    pool = Pool(envpool, spec.id, count, threads, limit)
    for what in ("observation_space", "action_space"):
        ours, theirs = getattr(env, what), getattr(pool, f"single_{what}")
        if (type(ours), ours.shape, ours.dtype) != (type(theirs), theirs.shape, theirs.dtype):
            raise unsuited(f"its {what} {theirs} differs from Gymnasium's {ours}", WAY)
        # EnvPool's bounds are not always those of the registered environment.
        setattr(pool, f"single_{what}", ours)
    warnings.warn(
        f"training.vectorization=envpool: the environments are EnvPool {envpool.__version__}'s, "
        "with another stream of random numbers; they train and nothing else",
        stacklevel=2,
    )
    return NativeVecEnv(pool, spec.id)


class Pool(VectorEnv[Any, Any, Any]):
    """As much of a Gymnasium vector environment as training needs; episodes end without a reset.

    Args:
        envpool: The package.
        name: Id of the environment.
        count: Copies.
        threads: Threads that step them.
        limit: Steps after which an episode is cut off.
    """

    def __init__(self, envpool: Any, name: str, count: int, threads: int, limit: int) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self.num_envs = count
        self._make = functools.partial(
            _quietly, envpool.make, name, env_type="gymnasium", num_envs=count,
            num_threads=threads, max_episode_steps=limit,
        )  # fmt: skip
        self._pool = self._make(seed=0)
        self.single_observation_space = self._pool.observation_space
        self.single_action_space = self._pool.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset all copies, or those of `options["reset_mask"]`; a seed makes all anew."""
        if seed is not None:
            self._pool.close()
            self._pool = self._make(seed=seed)
        if options is None:
            self._seen, _ = self._pool.reset()
        else:
            which = np.flatnonzero(options["reset_mask"])
            fresh, info = self._pool.reset(which)
            self._seen = self._seen.copy()
            self._seen[info["env_id"]] = fresh
        return self._seen, {}

    def step(self, actions: np.ndarray) -> Any:
        """Step all copies."""
        self._seen, rewards, terminated, truncated, _ = self._pool.step(np.asarray(actions))
        # A copy may reach its end and its limit in one step; EnvPool then says both.
        return self._seen, rewards, terminated, truncated & ~terminated, {}

    def close(self, **kwargs: Any) -> None:
        """Close all copies."""
        self._pool.close()


def _quietly(make: Any, name: str, **settings: Any) -> Any:
    """Make a pool without remarks on the precision of bounds that are replaced anyway."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*precision lowered by casting")
        return make(name, **settings)


def _imported() -> Any:
    try:
        import envpool
    except ImportError as error:
        raise BadInput(
            f"training.vectorization=envpool: EnvPool cannot be imported ({error})",
            "EnvPool",
            "Install it with: pip install 'rl-lab[envpool]'",
        ) from error
    return envpool

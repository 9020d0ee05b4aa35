"""trust=true: stable-baselines3 itself loads the file, which runs whatever code is in it."""

from __future__ import annotations

import io
import warnings

from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from rl_lab.errors import BadInput
from rl_lab_agents.foreign.rebuilding import unmoved_generators
from rl_lab_agents.naming import resolve

# What only training needs is replaced, so that its pickles stay closed and nothing large is made.
_UNUSED = (
    "_last_obs", "_last_original_obs", "_last_episode_starts", "action_noise", "ep_info_buffer",
    "ep_success_buffer", "replay_buffer_class", "rollout_buffer_class", "weights",
)  # fmt: skip
_SCHEDULES = (
    "lr_schedule",
    "clip_range",
    "clip_range_vf",
    "exploration_schedule",
    "delta_std_schedule",
)
_SMALL = {
    "buffer_size": 1,
    "n_steps": 1,
    "n_envs": 1,
    "optimize_memory_usage": False,
    "replay_buffer_kwargs": {},
    "tensorboard_log": None,
    "verbose": 0,
}


def policy(content: bytes, algorithm: str, env: VecEnv) -> BasePolicy:
    """Load a zip's policy through its algorithm's own class.

    Args:
        content: The zip.
        algorithm: Dotted path of the class.
        env: Whose spaces replace those in the file.

    Raises:
        BadInput: The library cannot load the file.
    """
    replaced = {
        **dict.fromkeys(_UNUSED),
        **dict.fromkeys(_SCHEDULES, _nothing),
        "learning_rate": 0.0,
        "train_freq": 1,
        "observation_space": env.observation_space,
        "action_space": env.action_space,
    }
    kind = resolve(algorithm)
    try:
        with unmoved_generators(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = kind.load(io.BytesIO(content), device="cpu", custom_objects=replaced, **_SMALL)
    except Exception as error:
        # The file's own code may raise anything.
        text = " ".join(str(error).split())[:300]
        raise BadInput(
            f"{kind.__name__}.load cannot load the file: {type(error).__name__}: {text}",
            "a file of this algorithm, whose classes can be imported here",
            "Give agent=NAME if it is of another algorithm, or install the package that it names.",
        ) from error
    loaded: BasePolicy = model.policy
    return loaded


def _nothing(progress_remaining: float) -> float:
    return 0.0

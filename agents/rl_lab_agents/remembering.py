"""The state of a stable-baselines3 model in parts, and a model put back into such a state.

Nothing here knows an algorithm: networks and optimisers are found, counters are the plain
attributes that the constructor does not take.
"""

from __future__ import annotations

import collections
import inspect
import random
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor

from rl_lab import states
from rl_lab.states import State
from rl_lab_agents import networks, own_parts, replay_parts

# Set by `learn` itself, or part of something that is kept elsewhere.
_NOT_PROGRESS = frozenset(
    {
        "_total_timesteps",
        "_num_timesteps_at_start",
        "start_time",
        "env",
        "_vec_normalize_env",
        "replay_buffer",
        "rollout_buffer",
        "_logger",
        "_custom_logger",
        "ep_info_buffer",
        "ep_success_buffer",
        "action_noise",
        "observation_space",
        "action_space",
        "n_envs",
    }
)
_OWN = "own"  # within PROGRESS
_CARD = "card"  # within RANDOM


def capture(model: BaseAlgorithm, counters: Mapping[str, Mapping[str, int]], rows: int) -> State:
    """A model's whole state between two updates.

    Args:
        model: Who learns.
        counters: Of the agent around the model.
        rows: Rows ever written to its replay buffer.
    """
    arrays: dict[str, np.ndarray] = {}
    lost: list[str] = []
    buffer = getattr(model, "replay_buffer", None)
    parts: dict[str, Any] = {
        states.WEIGHTS: networks.weights(model),
        states.PROGRESS: {"model": _progress(model), "counters": counters},
        states.NORMALIZER: _normalizer(model),
        states.REPLAY: replay_parts.positions(buffer),
        states.RANDOM: _random(model),
        states.ENVIRONMENTS: _surroundings(model),
    }
    data = {part: states.encode(value, arrays, part, lost) for part, value in parts.items()}
    own = f"{states.PROGRESS}.{_OWN}"
    data[states.PROGRESS][_OWN] = own_parts.capture(
        model, networks.modules(model), arrays, own, lost
    )
    if buffer is not None:
        path = f"{states.REPLAY}.{replay_parts.OWN}"
        data[states.REPLAY][replay_parts.OWN] = own_parts.capture_buffer(buffer, arrays, path, lost)
    ring = replay_parts.ring_arrays(buffer)
    rings = {states.REPLAY: states.Ring(ring, rows)} if ring else {}
    return State(data, arrays, rings, tuple(lost))


def restore(
    model: BaseAlgorithm, state: State, parts: Collection[str], lost: list[str]
) -> dict[str, dict[str, int]]:
    """Put a model into the parts of a state that concern it alone.

    Args:
        model: Whom to put back.
        state: Into what.
        parts: Which of its parts.
        lost: Filled with what could not be put back, see `rl_lab.states.decode`.

    Returns:
        The counters of the agent around the model; empty without the part PROGRESS.

    Raises:
        StateMismatch: The state is that of another kind of model.
    """
    counters: dict[str, dict[str, int]] = {}
    if states.WEIGHTS in parts:
        stored = states.decode(state.data[states.WEIGHTS], state.arrays, None)
        networks.restore(model, stored)
    if states.PROGRESS in parts:
        plain = dict(state.data[states.PROGRESS])
        own = plain.pop(_OWN, {})
        stored = states.decode(plain, state.arrays, None)
        vars(model).update(stored["model"])
        counters = stored["counters"]
        own_parts.restore(model, networks.modules(model), own, state.arrays, lost)
    if states.NORMALIZER in parts:
        states.decode(state.data[states.NORMALIZER], state.arrays, _normalizer(model))
    if states.REPLAY in parts:
        buffer = getattr(model, "replay_buffer", None)
        replay_parts.restore(buffer, state, lost, anew=states.PROGRESS not in parts)
    return counters


def restore_surroundings(
    model: BaseAlgorithm, state: State, parts: Collection[str], lost: list[str]
) -> None:
    """Put back what `learn` sets up anew: environments, what was seen last, random streams."""
    if states.ENVIRONMENTS in parts:
        live = _surroundings(model)
        # Arrays that the environments handed out are not to be written into.
        live["last"] = {k: v for k, v in live["last"].items() if isinstance(v, tuple)}
        live["episodes"] = None
        seen = states.decode(state.data[states.ENVIRONMENTS], state.arrays, live, lost)
        vars(model).update(seen["last"])
        model.ep_info_buffer, model.ep_success_buffer = seen["episodes"]
        if states.NORMALIZER in parts:
            states.decode(state.data[states.NORMALIZER], state.arrays, _normalizer(model))
    if states.RANDOM in parts:
        streams = states.decode(state.data[states.RANDOM], state.arrays, _random(model))
        random.setstate(streams["python"])
        np.random.set_state(streams["numpy"])
        torch.set_rng_state(torch.from_numpy(streams["torch"]))
        if _CARD in streams and _draws_on_a_card(model):
            torch.cuda.set_rng_state(torch.from_numpy(streams[_CARD]), model.device)


def _progress(model: BaseAlgorithm) -> dict[str, Any]:
    """Counters: plain attributes that are no hyperparameter."""
    taken = {
        name
        for kind in type(model).__mro__
        if kind is not object
        for name in inspect.signature(vars(kind).get("__init__", _nothing)).parameters
    }
    plain = (bool, int, float, np.number, np.bool_)
    return {
        name: value
        for name, value in vars(model).items()
        if isinstance(value, plain) and name not in taken and name not in _NOT_PROGRESS
    }


def _nothing() -> None:
    """The constructor of a class that has none of its own."""


def _normalizer(model: BaseAlgorithm) -> dict[str, Any]:
    wrapper: Any = model.get_vec_normalize_env()
    names = ("obs_rms", "ret_rms")
    return {n: getattr(wrapper, n) for n in names if hasattr(wrapper, n)} if wrapper else {}


def _random(model: BaseAlgorithm) -> dict[str, Any]:
    streams: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),
        "torch": torch.get_rng_state().numpy(),
        "spaces": [model.action_space, model.observation_space],
        "own": {k: v for k, v in vars(model).items() if isinstance(v, np.random.Generator)},
    }
    if _draws_on_a_card(model):
        streams[_CARD] = torch.cuda.get_rng_state(model.device).numpy()
    return streams


def _draws_on_a_card(model: BaseAlgorithm) -> bool:
    """Whether a graphics card's random stream is the model's; asking others would open them."""
    return model.device.type == "cuda"


def _surroundings(model: BaseAlgorithm) -> dict[str, Any]:
    environment: Any = model.get_env()
    _forget_the_past(environment.unwrapped)
    logger: Any = vars(model).get("_logger")
    pending = ("name_to_value", "name_to_count", "name_to_excluded")
    return {
        "vector": environment,
        "last": {name: value for name, value in vars(model).items() if name.startswith("_last_")},
        "episodes": [_timeless(model.ep_info_buffer), model.ep_success_buffer],
        "noise": model.action_noise,
        "metrics": {name: getattr(logger, name) for name in pending} if logger else {},
    }


def _timeless(infos: Any) -> Any:
    """Episode statistics without the wall clock."""
    if infos is None:
        return None
    kept = [{k: v for k, v in info.items() if k != "t"} for info in infos]
    return collections.deque(kept, infos.maxlen) if isinstance(infos, collections.deque) else kept


def _forget_the_past(innermost: Any) -> None:
    """Drop what is never read again: the last step's infos, and the monitors' endless lists."""
    if hasattr(innermost, "buf_infos"):
        innermost.buf_infos = [{} for _ in range(innermost.num_envs)]
    for env in getattr(innermost, "envs", ()):
        while env is not None:
            if isinstance(env, Monitor):
                for episodes in (env.episode_returns, env.episode_lengths, env.episode_times):
                    episodes.clear()
            env = getattr(env, "env", None)

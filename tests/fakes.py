"""Small environments and policies with known answers."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rl_lab import files, frozen_policy, replay, spaces
from rl_lab.environments import EnvironmentRecipe
from rl_lab.frozen_policy import Card, FrozenPolicy


class Countdown(gymnasium.Env):
    """Lasts 3 + seed % 5 steps; step t pays t if the action is 1 and 0 otherwise."""

    observation_space = gymnasium.spaces.Box(-100.0, 100.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, bonus: float = 0.0, render_mode: str | None = None) -> None:
        self.bonus = bonus
        self.scale = 1.0
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._left = 3 + (seed or 0) % 5
        self._step = 0
        return self._observation(), {}

    def step(self, action: Any) -> Any:
        self._step += 1
        self._left -= 1
        reward = self.scale * self._step if action == 1 else 0.0
        return self._observation(), reward + self.bonus, self._left == 0, False, {}

    def _observation(self) -> np.ndarray:
        return np.array([self._step, self._left], np.float32)


def made(environment: str, **kwargs: Any) -> Any:
    """One of these environments, also in a process that has not imported them yet."""
    return gymnasium.make(environment, **kwargs)


def countdown_return(seed: int) -> float:
    """What always choosing action 1 earns in Countdown: 1 + 2 + ... + (3 + seed % 5)."""
    length = 3 + seed % 5
    return length * (length + 1) / 2


class Faulty(Countdown):
    """Does something wrong at step 2 of episodes whose seed is divisible by `every`."""

    def __init__(self, fault: str = "none", every: int = 1, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.fault, self.every = fault, every

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self._bad = seed is None or seed % self.every == 0
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        if not self._bad or self._step != 2:
            return observation, reward, terminated, truncated, info
        if self.fault == "raise":
            raise RuntimeError("the motor is on fire")
        if self.fault == "die":
            os._exit(7)
        if self.fault == "hang":
            time.sleep(600)
        if self.fault == "nan_observation":
            observation = np.array([np.nan, 0.0], np.float32)
        if self.fault == "nan_reward":
            reward = float("nan")
        if self.fault == "shape":
            observation = np.zeros(3, np.float32)
        return observation, reward, terminated, truncated, info


class Grudge(Countdown):
    """Breaks at step 2 if the action is 0, and pays 100 more in every episode after that."""

    def __init__(self, closes: bool = True, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.closes = closes

    def step(self, action: Any) -> Any:
        transition = super().step(action)
        if self._step == 2 and action == 0:
            self.bonus = 100.0
            raise RuntimeError("the motor is on fire")
        return transition

    def close(self) -> None:
        if not self.closes:
            raise RuntimeError("the door is stuck")


class Endless(Countdown):
    """Never ends by itself, and has no registered limit."""

    def step(self, action: Any) -> Any:
        observation, reward, _, _, info = super().step(action)
        return np.zeros_like(observation), reward, False, False, info


class Masked(Countdown):
    """Allows action 0 only in even steps and action 1 only in odd ones; raises otherwise."""

    def action_masks(self) -> np.ndarray:
        return np.array([self._step % 2 == 0, self._step % 2 == 1])

    def step(self, action: Any) -> Any:
        if not self.action_masks()[action]:
            raise ValueError(f"action {action} is forbidden now")
        return super().step(action)


class Goal(gymnasium.Env):
    """A point walks up to 1 per step to a goal within 3 on a line; pays 0 there, else -1."""

    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        part = gymnasium.spaces.Box(-30.0, 30.0, (1,), np.float32)
        keys = ("observation", "achieved_goal", "desired_goal")
        self.observation_space = gymnasium.spaces.Dict({key: part for key in keys})
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._place = np.zeros(1, np.float32)
        self._goal = self.np_random.uniform(-3, 3, 1).astype(np.float32)
        return self._observation(), {"is_success": False}

    def step(self, action: Any) -> Any:
        self._place = np.clip(self._place + action, -30, 30).astype(np.float32)
        reward = float(self.compute_reward(self._place, self._goal, {}))
        return self._observation(), reward, False, False, {"is_success": reward == 0.0}

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        distance = np.linalg.norm(np.asarray(achieved_goal) - np.asarray(desired_goal), axis=-1)
        return -(distance > 0.25).astype(np.float32)

    def _observation(self) -> Any:
        place, goal = self._place.copy(), self._goal.copy()
        return {"observation": place, "achieved_goal": place.copy(), "desired_goal": goal}


for _kind in (Countdown, Faulty, Grudge, Endless, Masked):
    if f"Fake{_kind.__name__}-v0" not in gymnasium.registry:
        gymnasium.register(f"Fake{_kind.__name__}-v0", entry_point=_kind)


def native(num_envs: int, mode: str, max_episode_steps: int) -> Any:
    """Copies of Countdown as one vector environment, the counterpart of single ones."""
    return gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.wrappers.TimeLimit(Countdown(), max_episode_steps)] * num_envs,
        autoreset_mode=gymnasium.vector.AutoresetMode[mode],
    )


for _mode in ("SAME_STEP", "DISABLED", "NEXT_STEP"):
    if f"FakeNative{_mode}-v0" not in gymnasium.registry:
        gymnasium.register(
            f"FakeNative{_mode}-v0",
            entry_point=lambda mode, **kwargs: Countdown(**kwargs),
            vector_entry_point=native,
            max_episode_steps=4,  # some episodes end before, some are cut
            kwargs={"mode": _mode},
        )
if "FakeGoal-v0" not in gymnasium.registry:
    gymnasium.register("FakeGoal-v0", entry_point=Goal, max_episode_steps=10)


def linear_policy(
    environment: str,
    weight: Any,
    bias: Any,
    kwargs: dict[str, Any] | None = None,
    **card: Any,
) -> FrozenPolicy:
    """argmax(weight @ observation + bias) as a frozen policy, made without torch."""
    env = gymnasium.make(environment, disable_env_checker=True, **(kwargs or {}))
    observation, action = spaces.to_data(env.observation_space), spaces.to_data(env.action_space)
    with contextlib.suppress(RuntimeError):  # some are made to refuse it
        env.close()
    graph = _linear_graph(np.asarray(weight, np.float32), np.asarray(bias, np.float32))
    golden = np.random.default_rng(0).standard_normal((8, observation["shape"][0]))
    golden = golden.astype(np.float32)
    fields: dict[str, Any] = {
        "agent": "linear",
        "algorithm": "by hand",
        "training_seed": 0,
        "steps": 0,
        "recipe_hash": "00000000",
        "environment": EnvironmentRecipe(environment, kwargs or {}, (), None).to_data(),
        "anchors": None,
        "observation_space": observation,
        "action_space": action,
        "state": (),
        "action_masks": False,
        "parameters": int(np.size(weight) + np.size(bias)),
        "provenance": {},
        "onnx_sha256": files.sha256(graph),
        "golden": {},
        **card,
    }
    policy = FrozenPolicy(Card(**fields), graph)
    actions, _ = policy.act_batch(golden)
    fields["golden"] = {"observations": golden.tolist(), "actions": actions.tolist()}
    return FrozenPolicy(Card(**fields), graph)


def _linear_graph(weight: np.ndarray, bias: np.ndarray) -> bytes:
    nodes = [
        helper.make_node("Gemm", ["observation", "w", "b"], ["scores"], transB=1),
        helper.make_node("ArgMax", ["scores"], ["action"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["n", weight.shape[1]])],
        [helper.make_tensor_value_info("action", TensorProto.INT64, ["n"])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model.SerializeToString()


def always(action: int, environment: str = "FakeCountdown-v0", **card: Any) -> FrozenPolicy:
    """A policy for two actions and two observations that always chooses the same one."""
    bias = [1.0, 0.0] if action == 0 else [0.0, 1.0]
    return linear_policy(environment, np.zeros((2, 2)), bias, **card)


def saved(policy: FrozenPolicy, folder: Path) -> Path:
    """The policy's folder after saving it there."""
    frozen_policy.save(policy, folder)
    return folder


def recorded(policy: FrozenPolicy, seed: int, *args: Any, **more: Any) -> replay.Replay:
    """An episode of at most 10,000 steps."""
    limit = more.pop("step_limit", 10_000)
    return replay.record(policy, seed, limit, *args, **more)


def clipped(
    episode: replay.Replay, size: int = 240, most_frames: int = 168, **more: Any
) -> replay.Clip:
    """A clip of an episode."""
    return replay.clip(episode, replay.ClipSettings(size, most_frames, 1, 390_000), **more)

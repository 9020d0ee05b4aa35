"""An agent that was saved and restored goes on exactly as one that was not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes  # noqa: F401  registers environments
import gymnasium
import numpy as np
import pytest
from small_agents import CONTRIB, CORE, FAST, agent_of

from rl_lab import checkpoints, environments, paths, states
from rl_lab.cli import config, training_sections
from rl_lab.environments import EnvironmentRecipe
from rl_lab.states import strategies
from rl_lab.states.probing import probe

WALL_CLOCK = {"time/fps", "time/time_elapsed"}
SMALL: dict[str, Any] = {"policy_kwargs": {"net_arch": [16]}}
ON = {**SMALL, "n_steps": 32}
PPO = {**ON, "batch_size": 16, "n_epochs": 2}
OFF = {**SMALL, "learning_starts": 40, "batch_size": 16, "buffer_size": 150}
HER = {**OFF, "learning_starts": 60, "replay_buffer": {"her": {}}}
SDE = {"use_sde": True, "sde_sample_freq": 7}
OU = {"action_noise": {"kind": "ornstein-uhlenbeck", "std": 0.3}}
LINEAR = {"schedule": "linear", "start": 1e-2, "end": 0.0}
PLAIN: dict[str, Any] = {}
NORMAL: dict[str, Any] = {"normalize_observation": True, "normalize_reward": True}

CASES = [
    (CORE + "PPO", "CartPole-v1", {**PPO, "learning_rate": LINEAR}, NORMAL, 3),
    (FAST + "ppo.FastPPO", "CartPole-v1", {**PPO, "learning_rate": LINEAR}, NORMAL, 3),
    (FAST + "a2c.FastA2C", "Pendulum-v1", {**SMALL, "n_steps": 8, **SDE}, PLAIN, 1),
    (FAST + "dqn.FastDQN", "CartPole-v1", {**OFF, "target_update_interval": 50}, PLAIN, 2),
    (FAST + "sac.FastSAC", "Pendulum-v1", OFF, PLAIN, 1),
    (FAST + "td3.FastTD3", "Pendulum-v1", {**OFF, **OU}, PLAIN, 2),
    (CORE + "PPO", "Pendulum-v1", {**PPO, **SDE}, {"frame_stack": 3}, 1),
    (
        CORE + "A2C",
        "CartPole-v1",
        {**SMALL, "n_steps": 5},
        {"frame_stack": 2, "log_every_steps": 37, "log_episodes": True, **NORMAL},
        2,
    ),
    (CORE + "A2C", "Pendulum-v1", {**SMALL, "n_steps": 8, **SDE}, PLAIN, 1),
    (CORE + "DQN", "CartPole-v1", {**OFF, "target_update_interval": 50}, PLAIN, 1),
    (CORE + "DQN", "CartPole-v1", {**OFF, "n_steps": 3, "train_freq": 4}, NORMAL, 2),
    (CORE + "SAC", "Pendulum-v1", {**OFF, **SDE}, NORMAL, 2),
    (CORE + "SAC", "Pendulum-v1", {**OFF, "ent_coef": 0.1}, {"frame_stack": 2}, 1),
    (CORE + "TD3", "Pendulum-v1", {**OFF, **OU}, PLAIN, 2),
    (CORE + "TD3", "MountainCarContinuous-v0", {**OFF, **OU}, PLAIN, 1),
    (
        CORE + "DDPG",
        "Pendulum-v1",
        {**OFF, "action_noise": {"kind": "normal", "std": 0.2}},
        NORMAL,
        1,
    ),
    (CONTRIB + "QRDQN", "CartPole-v1", {**SMALL, **OFF}, PLAIN, 1),
    (CONTRIB + "TQC", "Pendulum-v1", OFF, PLAIN, 1),
    (CONTRIB + "CrossQ", "Pendulum-v1", OFF, PLAIN, 1),
    (CONTRIB + "TRPO", "Pendulum-v1", {**ON, "batch_size": 16}, NORMAL, 1),
    (
        CONTRIB + "RecurrentPPO",
        "Pendulum-v1",
        {"n_steps": 16, "batch_size": 16, "n_epochs": 1},
        PLAIN,
        2,
    ),
    (CONTRIB + "MaskablePPO", "Taxi-v4", PPO, PLAIN, 2),
    (CORE + "TD3", "FakeGoal-v0", HER, PLAIN, 2),
    (CORE + "SAC", "Pendulum-v1", {**OFF, "gamma": LINEAR}, PLAIN, 1),
    (CONTRIB + "ARS", "CartPole-v1", {"n_delta": 2}, {"normalize_observation": True}, 1),
]


def name_of(case: Any) -> str:
    algorithm, environment, _, preparation, n_envs = case
    return "-".join([algorithm.rpartition(".")[2], environment, *preparation, str(n_envs)])


class Until:
    """Keeps metrics; once so many steps are done it keeps the state, and stops there."""

    def __init__(self, stop_at: float = np.inf, keep: Callable[[int], Any] = lambda step: None):
        self.stop_at, self.keep = stop_at, keep
        self.log: list[Any] = []
        self.boundaries: list[int] = []
        self.kept: Any = None
        self.kept_log: list[Any] = []

    def metrics(self, step: int, values: Any) -> None:
        self.log.append((step, {k: v for k, v in values.items() if k not in WALL_CLOCK}))

    def boundary(self, step: int) -> bool:
        self.boundaries.append(step)
        if step >= self.stop_at:
            self.kept, self.kept_log = self.keep(step), list(self.log)
            return False
        return True


def same(one: Any, other: Any) -> None:
    """Two states are equal to the last bit."""
    a, b = one.state(), other.state()
    assert a.data == b.data
    assert a.arrays.keys() == b.arrays.keys()
    for name in a.arrays:
        np.testing.assert_array_equal(a.arrays[name], b.arrays[name], err_msg=name)
    for name, ring in a.rings.items():
        assert ring.written == b.rings[name].written
        for key, rows in ring.arrays.items():
            np.testing.assert_array_equal(rows, b.rings[name].arrays[key], err_msg=key)


def keeper(agent: Any, folder: Path, previous: Any) -> Callable[[int], Any]:
    return lambda step: checkpoints.write(folder, step, agent.state(), {}, {}, previous)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_restored_agent_goes_on_as_if_nothing_had_been(case: Any, tmp_path: Path) -> None:
    total = 330
    straight, whole = agent_of(case), Until()
    straight.learn(total, whole)

    log: list[Any] = []
    kept: Any = None
    # Stops before the first update, in the middle, and after the buffer has wrapped.
    for stop_at in (1, 100, 240):
        # Another seed: everything that matters must come from the checkpoint.
        agent = agent_of(case, seed=0 if kept is None else 7)
        if kept is not None:
            agent.restore(kept.state(), states.ALL)
        part = Until(stop_at, keeper(agent, tmp_path, kept))
        agent.learn(total, part)
        log += part.kept_log
        kept = checkpoints.opened(part.kept.folder, {})
    agent, part = agent_of(case, seed=7), Until()
    agent.restore(kept.state(), states.ALL)
    agent.learn(total, part)
    log += part.log
    assert log == whole.log
    same(agent, straight)


CONF = paths.conf_dir() / "env"
# Without those that stand for an environment to be named.
CONFIGURED = sorted({p.stem for p in CONF.glob("*.yaml")} - {"any", "atari"})
NEEDS = {"LunarLander": "Box2D", "BipedalWalker": "Box2D", "-v5": "mujoco", "CarRacing": "cv2"}


@pytest.mark.slow
@pytest.mark.parametrize("environment", CONFIGURED)
def test_every_configured_environment(environment: str, tmp_path: Path) -> None:
    for part, package in NEEDS.items():
        if part in environment:
            pytest.importorskip(package, reason=f"{environment} needs {package}")
    recipe, _, _ = training_sections.environment(config.read_yaml(CONF / f"{environment}.yaml"))
    env = environments.make(recipe)
    discrete = isinstance(env.action_space, gymnasium.spaces.Discrete)
    normal = NORMAL if isinstance(env.observation_space, gymnasium.spaces.Box) else PLAIN
    strategy = probe(lambda: environments.make(recipe)).strategy
    recipe = dataclasses.replace(recipe, max_episode_steps=25)
    off = (CORE + ("DQN" if discrete else "SAC"), environment, OFF, normal, 2)
    check(off, recipe, strategy, tmp_path / "off")
    check((CORE + "PPO", environment, PPO, normal, 2), recipe, strategy, tmp_path / "on")


def check(case: Any, recipe: EnvironmentRecipe, strategy: str, folder: Path) -> None:
    """Save in the middle of a training, and compare its end with that of the restored one."""
    whole = agent_of(case, strategy=strategy, recipe=recipe)

    def save(step: int) -> None:
        if strategy == strategies.BARRIER:
            whole.renew_environments(step)
        checkpoints.write(folder, step, whole.state(), {}, {})

    whole.learn(256, At(192, save))
    found, _ = checkpoints.newest(folder, {})
    assert found is not None
    again = agent_of(case, seed=7, strategy=strategy, recipe=recipe)
    again.restore(found.state(), states.ALL)
    again.learn(256, Until())
    same(again, whole)


class At(Until):
    """Does something once so many steps are done, and goes on."""

    def __init__(self, step: int, act: Callable[[int], Any]):
        super().__init__()
        self.step, self.act = step, act

    def boundary(self, step: int) -> bool:
        if step >= self.step:
            self.step = np.inf
            self.act(step)
        return super().boundary(step)


def test_boundaries_are_before_the_first_step_and_after_every_update() -> None:
    case = (CORE + "PPO", "CartPole-v1", PPO, PLAIN, 2)
    listener = Until()
    agent_of(case).learn(150, listener)
    assert listener.boundaries == [0, 64, 128, 192]


def test_an_agent_is_taken_into_another_environment(tmp_path: Path) -> None:
    case = (CORE + "SAC", "Pendulum-v1", OFF, NORMAL, 1)
    first = agent_of(case)
    first.learn(120, Until())
    state = first.state()

    second = agent_of((CORE + "SAC", "Pendulum-v1", OFF, NORMAL, 1), seed=5)
    second.restore(state, states.CARRIED)
    now = second.state()
    for name, array in state.arrays.items():
        if name.startswith(("weights", "normalizer")):
            np.testing.assert_array_equal(now.arrays[name], array, err_msg=name)
    assert now.rings["replay"].written == 120
    # The episode that was under way goes on elsewhere: there it was cut, it did not end.
    assert second._model.replay_buffer.dones[119].tolist() == [1]
    assert second._model.replay_buffer.timeouts[119].tolist() == [1]
    assert second._model.replay_buffer.dones[:119].sum() == first._model.replay_buffer.dones.sum()
    listener = Until()
    second.learn(180, listener)
    assert listener.boundaries[0] == 120
    assert listener.boundaries[-1] == 180


def test_another_algorithm_is_refused() -> None:
    state = agent_of((CORE + "SAC", "Pendulum-v1", OFF, PLAIN, 1)).state()
    other = agent_of((CORE + "TD3", "Pendulum-v1", OFF, PLAIN, 1))
    with pytest.raises(states.StateMismatch):
        other.restore(state, states.CARRIED)


def test_spaces_of_another_size_are_refused() -> None:
    state = agent_of((CORE + "PPO", "CartPole-v1", ON, PLAIN, 1)).state()
    other = agent_of((CORE + "PPO", "Acrobot-v1", ON, PLAIN, 1))
    with pytest.raises(states.StateMismatch, match="does not fit"):
        other.restore(state, (states.WEIGHTS,))


@pytest.mark.parametrize("settings", [OFF, {**OFF, "n_steps": 3}])
def test_renewed_environments_cut_the_episode_as_a_truncation(settings: Any) -> None:
    agent = agent_of((CORE + "DQN", "CartPole-v1", settings, NORMAL, 2))

    class Renewing(Until):
        def boundary(self, step: int) -> bool:
            if step == 48:
                agent.renew_environments(1234)
            return super().boundary(step)

    agent.learn(60, Renewing())
    buffer: Any = agent._model.replay_buffer
    last = 48 // 2 - 1
    assert buffer.dones[last].tolist() == [1, 1]
    fresh = [gymnasium.make("CartPole-v1").reset(seed=1234 + i)[0] for i in range(2)]
    np.testing.assert_array_equal(buffer.observations[last + 1], fresh)

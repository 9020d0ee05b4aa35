"""Ways to step environments side by side: the same training, and the same clear errors."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
import warnings
from typing import Any

import fakes
import gymnasium
import numpy as np
import pytest
from small_agents import plain_training

pytest.importorskip("stable_baselines3", reason="needs stable-baselines3")
from rl_lab_agents import sb3, vectorizing

from rl_lab.agent import Training
from rl_lab.errors import BadInput, EnvironmentFault, Failed
from rl_lab.training import watching

CLIP = {"name": "gymnasium.wrappers.ClipReward", "kwargs": {"min_reward": -1.0, "max_reward": 1.0}}


class Quiet:
    """A listener that keeps nothing."""

    def metrics(self, step: int, values: Any) -> None:
        """Ignored."""

    def boundary(self, step: int) -> bool:
        return True


def training(way: str, n_envs: int = 2, *wrappers: Any) -> Training:
    return plain_training(
        n_envs=n_envs,
        normalize_observation=True,
        normalize_reward=True,
        vectorization=way,
        wrappers=wrappers,
    )


def weights(
    environment: str, way: str, algorithm: str = "stable_baselines3.A2C"
) -> dict[str, np.ndarray]:
    make = functools.partial(gymnasium.make, environment)
    agent = sb3.make(make, training(way), 5, algorithm=algorithm, policy="MlpPolicy", n_steps=8)
    agent.learn(160, Quiet())
    found = {k: v.numpy().copy() for k, v in agent._model.policy.state_dict().items()}
    episodes = [(e["r"], e["l"]) for e in agent._model.ep_info_buffer]
    agent._model.get_env().close()
    return {**found, "episodes": np.array(episodes)}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert set(one) == set(other)
    for key, value in one.items():
        assert np.array_equal(value, other[key]), key


def test_processes_train_the_same_weights() -> None:
    assert_same(weights("CartPole-v1", "sync"), weights("CartPole-v1", "subprocess"))


@pytest.mark.parametrize("mode", ["SAME_STEP", "DISABLED"])
def test_a_native_environment_trains_the_same_weights(mode: str) -> None:
    name = f"FakeNative{mode}-v0"
    assert_same(weights(name, "sync"), weights(name, "native"))


@pytest.mark.parametrize("mode", ["SAME_STEP", "DISABLED"])
def test_a_fast_agent_trains_the_same_weights_in_a_native_environment(mode: str) -> None:
    name, kind = f"FakeNative{mode}-v0", "rl_lab_agents.fast.a2c.FastA2C"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is covered
        assert_same(weights(name, "sync", kind), weights(name, "native", kind))


@pytest.mark.filterwarnings("ignore:training.vectorization=envpool")
def test_envpool_moves_as_gymnasium_does() -> None:
    make = functools.partial(gymnasium.make, "Pendulum-v1")
    plain = {"normalize_observation": False, "normalize_reward": False}
    way = dataclasses.replace(training("envpool", 3), **plain)
    pool, env = vectorizing.vectorized(make, way, 0.9), make()
    pool.seed(5)
    seen = pool.reset()
    assert len(np.unique(seen, axis=0)) == 3
    env.reset(seed=0)
    env.unwrapped.state = np.array([np.arctan2(seen[1, 1], seen[1, 0]), seen[1, 2]])
    for step in range(200):
        action = np.float32([np.sin(step)])
        there, reward, dones, infos = pool.step(np.tile(action, (3, 1)))
        here, expected, _, truncated, _ = env.step(action)
        assert reward[1] == pytest.approx(expected, abs=2e-3)
        assert dones[1] == truncated
        last = infos[1]["terminal_observation"] if truncated else there[1]
        assert last == pytest.approx(here, abs=2e-3)
    assert infos[1]["TimeLimit.truncated"]
    assert infos[1]["episode"]["l"] == 200
    assert not np.allclose(there[1], last)  # the next episode has begun
    pool.close()


@pytest.mark.filterwarnings("ignore:training.vectorization=envpool")
@pytest.mark.parametrize("kind", ["stable_baselines3.A2C", "rl_lab_agents.fast.a2c.FastA2C"])
def test_a_seed_gives_the_same_training_in_envpool(kind: str) -> None:
    one, other = (weights("CartPole-v1", "envpool", kind) for _ in range(2))
    assert_same(one, other)
    assert len(one["episodes"]) > 2  # every pole that fell was put up again
    assert (one["episodes"][:, 0] == one["episodes"][:, 1]).all()


def test_envpool_says_what_it_is() -> None:
    make = functools.partial(gymnasium.make, "CartPole-v1")
    with pytest.warns(UserWarning, match="another stream of random numbers"):
        vectorizing.vectorized(make, training("envpool"), 0.9).close()


def test_a_class_of_the_users_own() -> None:
    way = "stable_baselines3.common.vec_env.DummyVecEnv"
    assert_same(weights("CartPole-v1", "sync"), weights("CartPole-v1", way))


@pytest.mark.parametrize(
    ("environment", "way", "answer"),
    [
        ("FakeNativeNEXT_STEP-v0", "native", "resets one step after"),
        ("CartPole-v1", "native", "resets one step after"),
        ("MountainCar-v0", "native", "has no native vector environment"),
        ("CartPole-v1", "subproces", "'subprocess'"),
        ("FakeCountdown-v0", "envpool", "has no FakeCountdown-v0"),
        ("LunarLanderContinuous-v3", "envpool", "settings of its own (continuous)"),
        ("CartPole-v1", "nowhere.VecEnv", "cannot be imported"),
    ],
)
def test_what_does_not_suit_is_refused(environment: str, way: str, answer: str) -> None:
    with pytest.raises(BadInput) as caught:
        vectorizing.vectorized(functools.partial(gymnasium.make, environment), training(way), 0.9)
    assert answer in str(caught.value)


def test_native_environments_have_no_wrappers() -> None:
    def make() -> Any:
        env = gymnasium.make("FakeNativeSAME_STEP-v0")
        return gymnasium.wrappers.ClipReward(env, -1.0, 1.0)

    with pytest.raises(BadInput, match="ClipReward"):
        vectorizing.vectorized(make, training("native"), 0.9)
    with pytest.raises(BadInput, match=r"training\.wrappers"):
        vectorizing.vectorized(make, training("native", 2, CLIP), 0.9)


def twice(env: Any) -> None:
    for _ in range(2):
        env.step(np.zeros(2, np.int64))


@pytest.mark.parametrize("fault", ["raise", "nan_reward"])
def test_a_fault_in_a_process_is_the_fault_itself(fault: str) -> None:
    make = functools.partial(fakes.made, "FakeFaulty-v0", fault=fault)
    env = vectorizing.vectorized(make, training("subprocess"), 0.9)
    env.seed(3)
    env.reset()
    with pytest.raises(EnvironmentFault, match=r"\(seed 3, episode 1, step 2\)"):
        twice(env)
    env.close()


def test_a_process_that_hangs_is_named_and_ended() -> None:
    make = functools.partial(fakes.made, "FakeFaulty-v0", fault="hang", every=4)
    env = vectorizing.vectorized(make, training("subprocess"), 0.9)
    env.seed(3)
    env.reset()
    said = "environment 1 has not answered for 1 s in its process"
    with watching.watched(1.0), pytest.raises(Failed, match=said):
        twice(env)
    env.close()
    assert not any(process.is_alive() for process in env.unwrapped.processes)


def test_a_native_environment_that_hangs_is_noticed() -> None:
    make = functools.partial(fakes.made, "FakeNativeSAME_STEP-v0")
    env: Any = vectorizing.vectorized(make, training("native"), 0.9)
    env.reset()
    env.unwrapped._env.step = lambda actions: time.sleep(600)
    with watching.watched(1.0), pytest.raises(EnvironmentFault, match="has not answered for 1 s"):
        twice(env)


@pytest.mark.slow
def test_a_process_that_dies_is_named_with_its_exit_code() -> None:
    make = functools.partial(fakes.made, "FakeFaulty-v0", fault="die")
    env = vectorizing.vectorized(make, training("subprocess"), 0.9)
    env.reset()
    with pytest.raises(Failed, match=r"environment 0 \(7\)"):
        twice(env)
    env.close()


def refuse() -> Any:
    os._exit(3)


@pytest.mark.slow
def test_a_process_that_never_makes_its_environment() -> None:
    with pytest.raises(Failed, match="vectorization=sync"):
        vectorizing.vectorized(refuse, training("subprocess"), 0.9)


# Wrappers for learning alone -----------------------------------------------------------------


def test_wrappers_for_learning_alone_do_not_change_the_recorded_return() -> None:
    plain = plain_training(wrappers=(CLIP,))
    env = vectorizing.vectorized(functools.partial(gymnasium.make, "FakeCountdown-v0"), plain, 0.9)
    env.seed(0)
    env.reset()
    rewards, info = [], {}
    while "episode" not in info:
        _, reward, _, (info,) = env.step(np.ones(1, np.int64))
        rewards.append(float(reward[0]))
    assert rewards == [1.0, 1.0, 1.0]
    assert info["episode"]["r"] == fakes.countdown_return(0) == 6.0


def test_wrappers_for_learning_alone_keep_the_spaces() -> None:
    wrapper = {"name": "gymnasium.wrappers.FlattenObservation"}
    make = functools.partial(gymnasium.make, "Pendulum-v1")
    assert vectorizing.watched(make, training("sync", 1, wrapper))
    wrapper = {"name": "rl_lab.wrappers.TimeLeft"}
    with pytest.raises(BadInput, match=r"into env\.wrappers"):
        vectorizing.watched(make, training("sync", 1, wrapper))

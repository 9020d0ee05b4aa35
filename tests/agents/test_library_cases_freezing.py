"""stable-baselines3's cases of saving and loading, with freezing and loading in their place."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes
import gymnasium
import numpy as np
import pytest
import torch
from agents.test_freezing_grid import (
    ALGORITHMS,
    FACTS,
    make_agent,
    randomize,
    training,
)
from rl_lab_agents import sb3

from rl_lab import freezing, frozen_policy, spaces
from rl_lab.environments import EnvironmentRecipe
from rl_lab.frozen_policy import FrozenPolicy, actions_differ

KEPT = {**FACTS, "environment": EnvironmentRecipe("Any-v0", {}, (), None).to_data()}
NORMALIZED = {"normalize_observation": True, "normalize_reward": True}
ROLLOUT = {"n_steps": 32, "policy_kwargs": {"net_arch": [16]}}
EPOCHS = {**ROLLOUT, "batch_size": 32, "n_epochs": 2}
REPLAY = {
    "buffer_size": 500,
    "learning_starts": 20,
    "train_freq": 4,
    "batch_size": 16,
    "policy_kwargs": {"net_arch": [16]},
}
LSTM = {"net_arch": [16], "lstm_hidden_size": 8}
LEARNERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ppo": ("CartPole-v1", "MlpPolicy", EPOCHS),
    "a2c": ("Pendulum-v1", "MlpPolicy", {**ROLLOUT, "n_steps": 8}),
    "a2c_gsde": ("Pendulum-v1", "MlpPolicy", {**ROLLOUT, "n_steps": 8, "use_sde": True}),
    "dqn": ("CartPole-v1", "MlpPolicy", {**REPLAY, "target_update_interval": 16}),
    "ddpg": ("Pendulum-v1", "MlpPolicy", REPLAY),
    "td3": ("Pendulum-v1", "MlpPolicy", REPLAY),
    "sac": ("Pendulum-v1", "MlpPolicy", REPLAY),
    "sac_gsde": ("Pendulum-v1", "MlpPolicy", {**REPLAY, "use_sde": True}),
    "tqc": ("Pendulum-v1", "MlpPolicy", REPLAY),
    "qrdqn": ("CartPole-v1", "MlpPolicy", REPLAY),
    "trpo": ("Pendulum-v1", "MlpPolicy", {**ROLLOUT, "batch_size": 32}),
    "ars": ("CartPole-v1", "MlpPolicy", {"n_delta": 2}),
    "crossq": ("Pendulum-v1", "MlpPolicy", REPLAY),
    "maskable_ppo": ("FakeMasked-v0", "MlpPolicy", EPOCHS),
    "recurrent_ppo": ("CartPole-v1", "MlpLstmPolicy", {**EPOCHS, "policy_kwargs": LSTM}),
}
assert fakes.Masked  # importing it registers FakeMasked-v0


def learner(name: str) -> sb3.Sb3Agent:
    """A small agent that learns in a real environment."""
    environment, policy, settings = LEARNERS[name]
    path = ALGORITHMS[name.removesuffix("_gsde")][0]
    return sb3.make(
        lambda: gymnasium.make(environment),
        training(**NORMALIZED),
        7,
        algorithm=path,
        policy=policy,
        **settings,
    )


class AtEachBoundary:
    """A listener that does something at each boundary, and lets the agent learn on."""

    def __init__(self, do: Callable[[], Any] = lambda: None) -> None:
        self.do, self.boundaries = do, 0

    def metrics(self, step: int, values: Any) -> None:
        pass

    def boundary(self, step: int) -> bool:
        self.boundaries += 1
        self.do()
        return True


def freeze(agent: sb3.Sb3Agent) -> FrozenPolicy:
    return freezing.freeze(agent.policy(), KEPT)


def decisions(policy: FrozenPolicy, count: int = 32) -> Any:
    numbers = np.random.default_rng(5)
    masks = None
    if policy.card.action_masks:
        masks = freezing.random_masks(policy.card.action_space, count, numbers)
    return spaces.draw(policy.observation_space, count, numbers), masks


def act(policy: FrozenPolicy) -> np.ndarray:
    """The actions and next states of always the same decisions, as one array."""
    observations, masks = decisions(policy)
    actions, state = policy.act_batch(observations, (), masks)
    return np.concatenate([a.reshape(len(actions), -1) for a in (actions, *state)], axis=1)


def thawed(policy: FrozenPolicy, folder: Path) -> FrozenPolicy:
    frozen_policy.save(policy, folder)
    return frozen_policy.load_policy(folder)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("normalize", [False, True])
def test_a_loaded_policy_acts_as_the_frozen_one_and_as_the_library(
    tmp_path: Path, algorithm: str, normalize: bool
) -> None:
    action = ALGORITHMS[algorithm][1][0]
    agent = make_agent(algorithm, "box64_2d", action, {"normalize_observation": normalize})
    policy = freeze(agent)
    loaded = thawed(policy, tmp_path / "policy")
    np.testing.assert_array_equal(act(loaded), act(policy))
    observations, masks = decisions(policy)
    expected = agent.policy().predict([observations], None if masks is None else [masks])[0]
    actions, _ = loaded.act_batch(observations, (), masks)
    assert actions_differ(loaded.action_space, actions, expected.astype(actions.dtype)) == ""


@pytest.mark.parametrize("name", LEARNERS)
def test_later_learning_does_not_change_what_was_frozen(tmp_path: Path, name: str) -> None:
    agent = learner(name)
    agent.learn(64, AtEachBoundary())
    early = freeze(agent)
    before, graph = act(early), early.graph
    frozen_policy.save(early, tmp_path / "early")
    agent.learn(64, AtEachBoundary())
    randomize(agent)
    np.testing.assert_array_equal(act(early), before)
    np.testing.assert_array_equal(act(frozen_policy.load_policy(tmp_path / "early")), before)
    assert freeze(agent).graph != graph


def test_statistics_are_copied_when_the_policy_is_frozen() -> None:
    agent = make_agent("ppo", "box", "box", {"normalize_observation": True})
    early = freeze(agent)
    before = act(early)
    moments = agent._model.get_vec_normalize_env().obs_rms
    moments.mean += 1.0
    moments.var *= 4.0
    np.testing.assert_array_equal(act(early), before)
    assert not np.allclose(act(freeze(agent)), before)


def everything(agent: sb3.Sb3Agent) -> dict[str, Any]:
    """All that decides how an agent goes on, as plain values that can be compared."""
    model = agent._model
    known: dict[str, Any] = {"steps": model.num_timesteps, "observation": model._last_obs}
    for part, parameters in model.get_parameters().items():
        known |= {f"{part}.{name}": value for name, value in flattened(parameters)}
    moments = model.get_vec_normalize_env().obs_rms
    known |= {"mean": moments.mean, "var": moments.var, "count": moments.count}
    if getattr(model, "replay_buffer", None) is not None:
        known |= {"replayed": model.replay_buffer.actions, "rewards": model.replay_buffer.rewards}
    return known


def flattened(data: Any, name: str = "") -> Any:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from flattened(value, f"{name}.{key}")
    elif isinstance(data, torch.Tensor):
        yield name, data.detach().clone().numpy()


def assert_same(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)


def trained(name: str, freezes: bool) -> tuple[dict[str, Any], int]:
    """What an agent is after learning twice, and how often it could have been frozen."""
    # The library's agents draw from global numbers, which building one seeds.
    agent = learner(name)
    listener = AtEachBoundary((lambda: freeze(agent)) if freezes else (lambda: None))
    agent.learn(64, listener)
    listener.boundary(64)
    agent.learn(128, listener)
    return everything(agent), listener.boundaries


@pytest.mark.parametrize("name", LEARNERS)
def test_freezing_at_every_boundary_leaves_training_bit_equal(name: str) -> None:
    (plain, count), (frozen, frozen_count) = trained(name, False), trained(name, True)
    assert count == frozen_count >= 5
    assert_same(plain, frozen)


@pytest.mark.parametrize("name", ["ppo", "sac", "dqn", "crossq", "recurrent_ppo"])
def test_freezing_does_not_change_the_agents_next_prediction(name: str) -> None:
    agent = learner(name)
    agent.learn(64, AtEachBoundary())
    observations = spaces.draw(agent._model.observation_space, 8, np.random.default_rng(0))
    before, _ = agent._model.predict(observations, deterministic=True)
    freeze(agent)
    after, _ = agent._model.predict(observations, deterministic=True)
    np.testing.assert_array_equal(after, before)


def global_numbers() -> tuple[Any, ...]:
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), kind, keys.tolist(), rest, torch.get_rng_state().tolist()


@pytest.mark.parametrize("name", ["ppo", "a2c_gsde", "sac", "maskable_ppo", "recurrent_ppo"])
def test_neither_freezing_nor_loading_touches_global_random_numbers(
    tmp_path: Path, name: str
) -> None:
    agent = learner(name)
    before = global_numbers()
    policy = freeze(agent)
    assert global_numbers() == before
    act(thawed(policy, tmp_path / "policy"))
    assert global_numbers() == before


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_frozen_does_not_depend_on_global_random_numbers(seed: int) -> None:
    agent = make_agent("sac", "box", "box", {"normalize_observation": True})
    first = freeze(agent)
    np.random.seed(seed)
    torch.manual_seed(seed)
    second = freeze(agent)
    assert (second.graph, second.card) == (first.graph, first.card)


def test_freezing_leaves_torch_as_it_was() -> None:
    validates = torch.distributions.Distribution._validate_args
    freeze(make_agent("ppo", "box", "discrete"))
    assert torch.is_grad_enabled()
    assert torch.distributions.Distribution._validate_args == validates

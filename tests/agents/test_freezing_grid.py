"""Every algorithm, observation and action kind: frozen equals stable-baselines3's own `predict`.

`freeze` itself proves equality on 256 decisions; here weights and statistics are randomised first,
so that nothing is equal by being zero, and other observations are drawn.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces as gym_spaces
from rl_lab_agents import sb3
from small_agents import plain_training

from rl_lab import freezing, seeding, spaces
from rl_lab.agent import Training
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import FrozenPolicy, actions_differ

OBSERVATIONS = {
    "box": gym_spaces.Box(-2.0, 3.0, (5,), np.float32),
    "box64_2d": gym_spaces.Box(-np.inf, np.inf, (3, 2), np.float64),
    "integers": gym_spaces.Box(-5, 9, (4,), np.int32),
    "discrete": gym_spaces.Discrete(6),
    "multi_discrete": gym_spaces.MultiDiscrete([3, 2, 5]),
    "multi_binary": gym_spaces.MultiBinary(7),
    "image_last": gym_spaces.Box(0, 255, (36, 40, 3), np.uint8),
    "image_first": gym_spaces.Box(0, 255, (3, 36, 40), np.uint8),
    "dict": gym_spaces.Dict(
        {
            "camera": gym_spaces.Box(0, 255, (36, 36, 3), np.uint8),
            "mode": gym_spaces.Discrete(4),
            "flags": gym_spaces.MultiBinary(3),
            "speed": gym_spaces.Box(-1.0, 1.0, (2,), np.float32),
        }
    ),
}
ACTIONS = {
    "box": gym_spaces.Box(
        np.array([-2.0, -1.0, 0.0], np.float32), np.array([1.0, 3.0, 7.0], np.float32)
    ),
    "discrete": gym_spaces.Discrete(4),
    "multi_discrete": gym_spaces.MultiDiscrete([3, 4]),
    "multi_binary": gym_spaces.MultiBinary(5),
}
ANY = tuple(ACTIONS)
BOX, DISCRETE, CHOICES = ("box",), ("discrete",), ("discrete", "multi_discrete", "multi_binary")
SMALL = {"buffer_size": 10}
ALGORITHMS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "ppo": ("stable_baselines3.PPO", ANY, {}),
    "a2c": ("stable_baselines3.A2C", ANY, {}),
    "dqn": ("stable_baselines3.DQN", DISCRETE, SMALL),
    "ddpg": ("stable_baselines3.DDPG", BOX, SMALL),
    "td3": ("stable_baselines3.TD3", BOX, SMALL),
    "sac": ("stable_baselines3.SAC", BOX, SMALL),
    "tqc": ("sb3_contrib.TQC", BOX, SMALL),
    "qrdqn": ("sb3_contrib.QRDQN", DISCRETE, SMALL),
    "trpo": ("sb3_contrib.TRPO", ANY, {}),
    "ars": ("sb3_contrib.ARS", ("box", "discrete"), {}),
    "ars_linear": ("sb3_contrib.ARS", ("box", "discrete"), {"policy": "LinearPolicy"}),
    "crossq": ("sb3_contrib.CrossQ", BOX, SMALL),
    "maskable_ppo": ("sb3_contrib.MaskablePPO", CHOICES, {}),
    "recurrent_ppo": ("sb3_contrib.RecurrentPPO", ANY, {}),
}
# ARS and CrossQ have no policy for images or Dict spaces.
VECTORS_ONLY = {"ars", "ars_linear", "crossq"}
# sb3-contrib's LSTM refuses the width that NumPy computes for these.
REFUSED_UPSTREAM = {("recurrent_ppo", "multi_discrete")}
CASES = [
    (algorithm, observation, action)
    for algorithm, (_, actions, _) in ALGORITHMS.items()
    for observation in OBSERVATIONS
    for action in actions
    if not (algorithm in VECTORS_ONLY and ("image" in observation or observation == "dict"))
    and (algorithm, observation) not in REFUSED_UPSTREAM
]
FACTS: dict[str, Any] = {
    "agent": "x",
    "training_seed": 0,
    "steps": 0,
    "recipe_hash": "",
    "environment": {},
    "anchors": None,
    "provenance": {},
}


class Dummy(gymnasium.Env):
    """Any spaces, random transitions."""

    def __init__(self, observation_space: Any, action_space: Any) -> None:
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 0.0, False, False, {}

    def action_masks(self) -> np.ndarray:
        return np.ones(4, bool)


def training(**changes: Any) -> Training:
    return plain_training(**{"steps": 1, "n_envs": 2, **changes})


def policy_name(algorithm: str, observation: str) -> str:
    kind = "Mlp"
    if observation == "dict":
        kind = "MultiInput"
    elif "image" in observation:
        kind = "Cnn"
    return f"{kind}{'Lstm' if algorithm == 'recurrent_ppo' else ''}Policy"


def make_agent(
    algorithm: str, observation: str, action: str, changes: Any = None, **settings: Any
) -> sb3.Sb3Agent:
    path, _, keywords = ALGORITHMS[algorithm]
    policy = keywords.get("policy", policy_name(algorithm, observation))
    keywords = {k: v for k, v in keywords.items() if k != "policy"} | settings
    agent = sb3.make(
        lambda: Dummy(OBSERVATIONS[observation], ACTIONS[action]),
        training(**(changes or {})),
        0,
        algorithm=path,
        policy=policy,
        **keywords,
    )
    randomize(agent)
    return agent


def randomize(agent: sb3.Sb3Agent) -> None:
    """Other weights than those of initialisation, and running statistics that matter."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in agent._model.policy.state_dict().items():
            if not tensor.dtype.is_floating_point:
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            # A running variance must stay positive.
            tensor.copy_(noise.abs() + 0.5 if "var" in name else tensor + 0.1 * noise)
    normalizer = agent._model.get_vec_normalize_env()
    if normalizer is not None and normalizer.norm_obs:
        rms = normalizer.obs_rms
        for i, moments in enumerate(rms.values() if isinstance(rms, dict) else [rms]):
            shape, numbers = moments.mean.shape, np.random.default_rng(i)
            moments.mean, moments.var = numbers.normal(size=shape), numbers.gamma(2.0, size=shape)


def assert_equal(agent: sb3.Sb3Agent, steps: int = 1, count: int = 64) -> FrozenPolicy:
    """Freeze, then compare on observations of another stream than freezing's own proof."""
    traced = agent.policy()
    policy = freezing.freeze(traced, FACTS)
    generator = seeding.generator(1, "grid")
    batches = [spaces.draw(traced.observation_space, count, generator) for _ in range(steps)]
    masks = None
    if traced.action_masks:
        masks = [freezing.random_masks(policy.card.action_space, count, generator) for _ in batches]
    expected = traced.predict(batches, masks)
    state: Any = ()
    for t, batch in enumerate(batches):
        actions, state = policy.act_batch(batch, state, None if masks is None else masks[t])
        text = actions_differ(policy.action_space, actions, expected[t].astype(actions.dtype))
        assert text == "", f"decision {t}"
    return policy


def test_the_grid_is_as_large_as_promised() -> None:
    assert len(ALGORITHMS) >= 13
    assert len(OBSERVATIONS) >= 8
    assert len(ACTIONS) == 4
    assert len(CASES) == 251


@pytest.mark.parametrize(("algorithm", "observation", "action"), CASES)
def test_frozen_acts_as_the_library_does(algorithm: str, observation: str, action: str) -> None:
    assert_equal(make_agent(algorithm, observation, action), count=16)


def test_what_the_library_refuses_is_refused_when_training_starts() -> None:
    with pytest.raises(BadInput, match="RecurrentPPO refuses its settings"):
        make_agent("recurrent_ppo", "multi_discrete", "discrete")


@pytest.mark.parametrize("algorithm", ["ppo", "sac", "recurrent_ppo", "dqn"])
@pytest.mark.parametrize("observation", ["box", "box64_2d", "integers"])
@pytest.mark.parametrize("frames", [1, 3])
def test_normalised_and_stacked(algorithm: str, observation: str, frames: int) -> None:
    action = ALGORITHMS[algorithm][1][0]
    changes = {"normalize_observation": True, "frame_stack": frames}
    assert_equal(make_agent(algorithm, observation, action, changes), steps=8)


@pytest.mark.parametrize("observation", ["image_last", "image_first"])
def test_stacked_images(observation: str) -> None:
    assert_equal(make_agent("ppo", observation, "discrete", {"frame_stack": 4}), steps=6, count=4)


def test_a_dict_is_stacked_per_key() -> None:
    inner = gym_spaces.Dict(
        {
            "camera": OBSERVATIONS["image_last"],
            "speed": gym_spaces.Box(-1.0, 1.0, (2,), np.float32),
        }
    )
    agent = sb3.make(
        lambda: Dummy(inner, ACTIONS["discrete"]),
        training(frame_stack=3),
        0,
        algorithm="stable_baselines3.PPO",
        policy="MultiInputPolicy",
    )
    randomize(agent)
    policy = assert_equal(agent, steps=6, count=4)
    assert [s["name"] for s in policy.card.state] == ["frames.camera", "frames.speed"]


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "sac", "tqc"])
@pytest.mark.parametrize("squash", [False, True])
def test_gsde(algorithm: str, squash: bool) -> None:
    settings: dict[str, Any] = {"use_sde": True}
    if algorithm in ("ppo", "a2c"):
        settings["policy_kwargs"] = {"squash_output": squash}
    assert_equal(make_agent(algorithm, "box", "box", **settings))


@pytest.mark.parametrize("action", ["box", "discrete"])
@pytest.mark.parametrize("layers", [1, 2])
def test_forty_recurrent_steps_with_restarts(action: str, layers: int) -> None:
    agent = make_agent("recurrent_ppo", "box", action, policy_kwargs={"n_lstm_layers": layers})
    policy = freezing.freeze(agent.policy(), FACTS)
    numbers, mine, theirs = np.random.default_rng(0), None, None
    starts = np.ones(3, bool)
    for _ in range(40):
        batch = spaces.draw(policy.observation_space, 3, numbers)
        one, theirs = agent._model.predict(batch, theirs, starts, deterministic=True)
        two, mine = policy.predict(batch, mine, starts, deterministic=True)
        assert actions_differ(policy.action_space, two, one.astype(two.dtype)) == ""
        for ours, library in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(ours.swapaxes(0, 1), library, atol=1e-5)
        starts = numbers.random(3) < 0.2


def test_single_decisions_equal_batches() -> None:
    for algorithm, observation, action in (
        ("recurrent_ppo", "dict", "box"),
        ("maskable_ppo", "box", "multi_discrete"),
        ("sac", "box", "box"),
        ("dqn", "discrete", "discrete"),
    ):
        agent = make_agent(algorithm, observation, action)
        policy = freezing.freeze(agent.policy(), FACTS)
        numbers, state = np.random.default_rng(0), policy.reset()
        batched: Any = ()
        for _ in range(5):
            batch = spaces.draw(policy.observation_space, 1, numbers)
            one = {k: v[0] for k, v in batch.items()} if isinstance(batch, dict) else batch[0]
            masks = None
            if policy.card.action_masks:
                masks = freezing.random_masks(policy.card.action_space, 1, numbers)
            single, state = policy.act(one, state, None if masks is None else masks[0])
            many, batched = policy.act_batch(batch, batched, masks)
            np.testing.assert_array_equal(single, many[0])
            assert policy.action_space.contains(single)

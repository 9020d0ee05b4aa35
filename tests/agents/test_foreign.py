"""Files of stable-baselines3 read without trust: frozen, they act as their own `predict` does."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from rl_lab_agents import sb3
from rl_lab_agents.foreign import reading, renames, statistics
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack
from test_layers import ROOT

from agents import foreign_files as foreign
from rl_lab import cli, environments, freezing, load_policy, seeding, spaces
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput
from rl_lab.frozen_policy import FrozenPolicy, actions_differ

CLASSES = {
    "ppo": ("stable_baselines3.PPO", "discrete"),
    "a2c": ("stable_baselines3.A2C", "box"),
    "dqn": ("stable_baselines3.DQN", "discrete"),
    "ddpg": ("stable_baselines3.DDPG", "box"),
    "td3": ("stable_baselines3.TD3", "box"),
    "sac": ("stable_baselines3.SAC", "box"),
    "tqc": ("sb3_contrib.TQC", "box"),
    "qrdqn": ("sb3_contrib.QRDQN", "discrete"),
    "trpo": ("sb3_contrib.TRPO", "box"),
    "ars": ("sb3_contrib.ARS", "box"),
    "maskable_ppo": ("sb3_contrib.MaskablePPO", "discrete"),
    "recurrent_ppo": ("sb3_contrib.RecurrentPPO", "discrete"),
    "crossq": ("sb3_contrib.CrossQ", "box"),
}
FACTS: dict[str, Any] = {
    "agent": "x",
    "training_seed": 0,
    "steps": 0,
    "recipe_hash": "",
    "environment": {},
    "anchors": None,
    "provenance": {},
}
RELU = {"activation_fn": torch.nn.ReLU}


def test_every_agent_can_come_from_elsewhere() -> None:
    # A zip of an agent with a twin is a zip of its twin.
    files = (ROOT / "conf" / "agent").glob("*.yaml")
    assert {p.stem for p in files if "\ntwin:" not in p.read_text()} == set(CLASSES)


def make_env(observation: str, action: str) -> Any:
    return foreign.Dummy(foreign.OBSERVATIONS[observation], foreign.ACTIONS[action])


def make_model(name: str, observation: str, env: VecEnv, **keywords: Any) -> Any:
    kind = "MultiInput" if observation == "dict" else "Mlp"
    policy = keywords.pop("policy", f"{kind}{'Lstm' if name == 'recurrent_ppo' else ''}Policy")
    if name in ("dqn", "qrdqn", "ddpg", "td3", "sac", "tqc", "crossq"):
        keywords["buffer_size"] = 10
    model = sb3.resolve(CLASSES[name][0])(policy, env, device="cpu", seed=3, **keywords)
    foreign.randomize(model.policy)
    return model


def read(folder: Path, observation: str, action: str, **words: Any) -> reading.origin.Reading:
    normalizer = folder / "vecnormalize.pkl"
    source = reading.open_source(
        zip=folder / "model.zip",
        zoo_folder=None,
        env=None,
        keep_env=False,
        normalizer=words.pop("normalizer", str(normalizer) if normalizer.is_file() else None),
        which="final",
    )
    keywords = {"algorithm": None, "activation_fn": None, "frame_stack": None, "trust": False}
    return source.read(lambda: make_env(observation, action), **{**keywords, **words})


def assert_equal(model: Any, policy: FrozenPolicy, observation: str, steps: int = 1) -> None:
    """The frozen policy against the model that wrote the file, behind its own wrappers."""
    env, numbers = model.get_env(), seeding.generator(1, "foreign")
    state: Any = ()
    memory = None
    for _ in range(steps):
        batch = spaces.draw(foreign.OBSERVATIONS[observation], 64, numbers)
        seen, words = batch, {}
        normalizer = model.get_vec_normalize_env()
        if normalizer is not None:
            seen = normalizer.normalize_obs(batch)
        if policy.card.action_masks:
            words["action_masks"] = freezing.random_masks(policy.card.action_space, 64, numbers)
        expected, memory = model.predict(seen, memory, deterministic=True, **words)
        action, state = policy.act_batch(batch, state, words.get("action_masks"))
        assert not actions_differ(policy.action_space, action, expected.astype(action.dtype))
    env.close()


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_zip_is_read_without_trust(name: str, normalize: bool, tmp_path: Path) -> None:
    _, action = CLASSES[name]
    env: Any = DummyVecEnv([lambda: make_env("box", action)])
    if normalize:
        env = foreign.normalized(env)
        env.save(tmp_path / "vecnormalize.pkl")
    model = make_model(name, "box", env)
    model.num_timesteps = 123
    model.save(tmp_path / "model.zip")
    found = read(tmp_path, "box", action)
    assert (found.agent, found.training_seed, found.steps) == (name, 3, 123)
    assert found.policy.facts["algorithm"] == CLASSES[name][0]
    policy = freezing.freeze(found.policy, FACTS)
    assert_equal(model, policy, "box", steps=5 if name == "recurrent_ppo" else 1)


@pytest.mark.parametrize(
    ("name", "observation", "action", "keywords"),
    [
        ("ppo", "image", "discrete", {"policy": "CnnPolicy"}),
        ("dqn", "image", "discrete", {"policy": "MlpPolicy"}),
        ("ppo", "dict", "box", {"policy_kwargs": {"features_extractor_kwargs": {}}}),
        ("sac", "dict", "box", {"policy_kwargs": {"share_features_extractor": True}}),
        ("ppo", "box", "box", {"use_sde": True, "policy_kwargs": {"squash_output": True, **RELU}}),
        ("sac", "box", "box", {"use_sde": True, "policy_kwargs": {"clip_mean": 0.5}}),
        ("tqc", "box", "box", {"use_sde": True, "policy_kwargs": {"clip_mean": 0.0}}),
        ("td3", "box", "box", {"policy_kwargs": {"net_arch": {"pi": [9], "qf": [8]}}}),
        ("a2c", "box", "discrete", {"policy_kwargs": {"net_arch": [], **RELU}}),
        ("ars", "box", "box", {"policy": "LinearPolicy"}),
        ("ars", "box", "box", {"policy_kwargs": {"squash_output": False, **RELU}}),
        ("crossq", "box", "box", {"policy_kwargs": {"batch_norm_eps": 0.1}}),
        ("recurrent_ppo", "box", "box", {"policy_kwargs": {"n_lstm_layers": 2, **RELU}}),
        ("qrdqn", "box", "discrete", {"policy_kwargs": {"n_quantiles": 7, "net_arch": [5]}}),
    ],
)
def test_networks_and_settings_are_told_from_the_file(
    name: str, observation: str, action: str, keywords: dict[str, Any], tmp_path: Path
) -> None:
    env = DummyVecEnv([lambda: make_env(observation, action)])
    model = make_model(name, observation, env, **keywords)
    model.save(tmp_path / "model.zip")
    policy = freezing.freeze(read(tmp_path, observation, action).policy, FACTS)
    assert_equal(model, policy, observation)


def test_stacked_frames_have_to_be_told(tmp_path: Path) -> None:
    env = VecFrameStack(DummyVecEnv([lambda: make_env("box", "discrete")]), 3)
    model = make_model("ppo", "box", env)
    model.save(tmp_path / "model.zip")
    with pytest.raises(
        BadInput, match=r"shape \(15,\) in the file, \(5,\) in the environment.*fram"
    ):
        read(tmp_path, "box", "discrete")
    policy = freezing.freeze(read(tmp_path, "box", "discrete", frame_stack=3).policy, FACTS)
    numbers = np.random.default_rng(0)
    one, two = (spaces.draw(foreign.OBSERVATIONS["box"], 8, numbers) for _ in range(2))
    _, state = policy.act_batch(one)
    action, _ = policy.act_batch(two, state)
    expected = model.predict(np.hstack([np.zeros_like(one), one, two]), deterministic=True)[0]
    np.testing.assert_array_equal(action, expected)


def test_statistics_missing_where_they_show(tmp_path: Path) -> None:
    env = foreign.normalized(DummyVecEnv([lambda: make_env("box", "box")]), norm_obs=False)
    model = make_model("a2c", "box", env)
    model.learn(5)
    model.save(tmp_path / "model.zip")
    with pytest.raises(BadInput, match="trained behind a VecNormalize"):
        read(tmp_path, "box", "box")
    env.save(tmp_path / "vecnormalize.pkl")
    for words in ({}, {"normalizer": "none"}):
        found = read(tmp_path, "box", "box", **words)
        assert_equal(model, freezing.freeze(found.policy, FACTS), "box")


@pytest.mark.parametrize("name", ["ppo", "sac", "dqn", "ars"])
def test_trained_zips_of_one_recipe_are_its_seeds(name: str, tmp_path: Path) -> None:
    action, short = CLASSES[name][1], {"n_steps": 16, "batch_size": 16} if name == "ppo" else {}
    hashes = []
    for seed, changes in ((0, {}), (1, {}), (2, {"learning_rate": 0.5})):
        env = gymnasium.wrappers.TimeLimit(make_env("box", action), 10)
        model = make_model(name, "box", DummyVecEnv([lambda env=env: env]), **short, **changes)
        model.seed = seed
        model.learn(20)
        model.save(tmp_path / "model.zip")
        found = read(tmp_path, "box", action)
        assert (found.training_seed, found.steps) == (seed, model.num_timesteps)
        hashes.append(found.recipe)
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("trust", [False, True])
def test_global_generators_stay_where_they_are(trust: bool, tmp_path: Path) -> None:
    make_model("ppo", "box", DummyVecEnv([lambda: make_env("box", "box")])).save(
        tmp_path / "model.zip"
    )
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    read(tmp_path, "box", "box", trust=trust)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert before == after


@pytest.mark.parametrize(
    ("keywords", "complaint"),
    [
        ({"features_extractor_class": foreign.OwnExtractor}, "features extractor of its own"),
        ({"activation_fn": foreign.OwnActivation}, "activation function is"),
    ],
)
def test_what_only_code_can_rebuild_asks_for_trust(
    keywords: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    env = DummyVecEnv([lambda: make_env("box", "box")])
    model = make_model("sac", "box", env, policy_kwargs=keywords)
    model.save(tmp_path / "model.zip")
    with pytest.raises(
        BadInput, match=rf"{complaint}.*trust=true lets .* by running whatever code"
    ):
        read(tmp_path, "box", "box")
    found = read(tmp_path, "box", "box", trust=True)
    assert found.source["read"] == "with trust"
    assert_equal(model, freezing.freeze(found.policy, FACTS), "box")


def test_an_activation_function_can_be_given(tmp_path: Path) -> None:
    env = DummyVecEnv([lambda: make_env("box", "box")])
    model = make_model("ppo", "box", env, policy_kwargs=RELU)
    model.policy_kwargs = {"activation_fn": foreign.OwnActivation}
    model.save(tmp_path / "model.zip")
    for word in ("relu", "ReLU", "nn.ReLU"):
        found = read(tmp_path, "box", "box", activation_fn=word)
        assert_equal(model, freezing.freeze(found.policy, FACTS), "box")
    with pytest.raises(BadInput, match="Did you mean 'relu'"):
        read(tmp_path, "box", "box", activation_fn="rello")


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_zip_is_read_with_trust(name: str, tmp_path: Path) -> None:
    action = CLASSES[name][1]
    model = make_model(name, "box", DummyVecEnv([lambda: make_env("box", action)]))
    model.save(tmp_path / "model.zip")
    found = read(tmp_path, "box", action, trust=True)
    assert_equal(model, freezing.freeze(found.policy, FACTS), "box")


def test_an_old_zip_acts_and_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path, weights = foreign.old_ppo(tmp_path / "model.zip", marker)
    words = f"freeze zip={path} env=CartPole-v1 to={tmp_path / 'frozen'}"
    assert cli.main(words.split()) == 0
    policy = load_policy(tmp_path / "frozen")
    batch = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    actions, _ = policy.act_batch(batch)
    np.testing.assert_array_equal(actions, foreign.act_as_old_ppo(weights, batch))
    assert not marker.exists()
    card = policy.card
    assert (card.agent, card.training_seed, card.steps) == ("ppo", 7, 102400)
    assert card.anchors is not None
    assert card.anchors["solved"] == 475
    source = card.provenance["source"]
    assert source["stable_baselines3"] == "1.6.2"
    assert source["read"] == "without trust"
    assert len(source["sha256"]) == 64


def test_the_payload_is_live(tmp_path: Path) -> None:
    """What nothing ran would have run: a trusting reader of the same file does make the marker."""
    marker = tmp_path / "ran"
    changes = {"policy_kwargs": foreign.serialized(foreign.Runs(marker))}
    path, _ = foreign.old_ppo(tmp_path / "model.zip", marker, **changes)
    words = f"freeze zip={path} env=CartPole-v1 to={tmp_path / 'frozen'}"
    assert cli.main(words.split()) == 0
    assert not marker.exists()
    cli.main([*words.split(), "trust=true"])
    assert marker.exists()


def test_trust_opens_no_pickle_that_acting_does_not_need(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    env = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")])
    model = make_model("ppo", "box", env)
    model.ep_info_buffer = foreign.Runs(marker)
    model.save(tmp_path / "model.zip")
    words = f"freeze zip={tmp_path / 'model.zip'} env=CartPole-v1 trust=true to={tmp_path / 'f'}"
    assert cli.main(words.split()) == 0
    assert not marker.exists()


def test_old_statistics_are_read_and_run_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "vecnormalize.pkl"
    mean, variance = foreign.old_statistics(path, 4, marker)
    assert b"numpy.core." in path.read_bytes()
    found = statistics.read(path)
    assert found is not None
    np.testing.assert_array_equal(found.moments[None].mean, mean)
    np.testing.assert_array_equal(found.moments[None].variance, variance)
    assert (found.epsilon, found.limit) == (1e-8, 10.0)
    assert not marker.exists()


@pytest.mark.parametrize("observation", ["box", "dict"])
def test_statistics_of_today_are_read(observation: str, tmp_path: Path) -> None:
    keys = ["speed"] if observation == "dict" else None
    env = DummyVecEnv([lambda: make_env(observation, "box")])
    made = foreign.normalized(env, norm_obs_keys=keys, clip_obs=5, epsilon=1e-3)
    made.save(str(tmp_path / "vecnormalize.pkl"))
    found = statistics.read(tmp_path / "vecnormalize.pkl")
    assert found is not None
    assert (list(found.moments), found.epsilon, found.limit) == (keys or [None], 1e-3, 5.0)
    rms: Any = made.obs_rms
    for key, moments in found.moments.items():
        np.testing.assert_array_equal(moments.mean, rms.mean if key is None else rms[key].mean)


def test_old_ids_act_in_environments_of_today() -> None:
    renamed = renames.today("LunarLander-v2", explicit=True)
    assert (renamed.id, bool(renamed.note)) == ("LunarLander-v3", True)
    assert renames.today("Hopper-v4", explicit=True).id == "Hopper-v4"
    assert renames.today("Hopper-v4", explicit=False).id == "Hopper-v5"
    assert renames.today("CartPole-v1", explicit=False).id == "CartPole-v1"
    with pytest.raises(BadInput, match="111 numbers"):
        renames.today("Ant-v3", explicit=True)


def test_renames_lead_to_environments_that_exist() -> None:
    table = renames.table()
    for section in ("retired", "superseded"):
        for old, entry in table[section].items():
            assert entry["to"] in gymnasium.registry, old
    pytest.importorskip("mujoco", reason="needs the extra mujoco")
    for old, entry in table["superseded"].items():
        recipes = (EnvironmentRecipe(name, {}, (), None) for name in (old, entry["to"]))
        one, two = (environments.make(recipe) for recipe in recipes)
        assert one.observation_space == two.observation_space, old
        assert one.action_space == two.action_space, old


def test_the_card_is_plain_json(tmp_path: Path) -> None:
    path, _ = foreign.old_ppo(tmp_path / "model.zip", tmp_path / "ran")
    assert cli.main(f"freeze zip={path} env=CartPole-v1 to={tmp_path / 'frozen'}".split()) == 0
    card = json.loads((tmp_path / "frozen" / "policy.json").read_text())
    assert set(card["provenance"]["source"]) >= {"file", "sha256", "environment", "read"}

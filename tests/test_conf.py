"""The configuration tree: every file composes, and agrees with the libraries it configures."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from rl_lab import environments, spaces
from rl_lab.agent import Training
from rl_lab.cli import shift_choice, worlds
from rl_lab.cli.options import Options
from rl_lab.environments import Anchors, EnvironmentRecipe

CONF = Path(__file__).resolve().parents[1] / "conf"
FEWEST = {
    "agent": 18,
    "callback": 3,
    "debug": 1,
    "env": 12,
    "experiment": 3,
    "launcher": 1,
    "logger": 2,
    "schedule": 5,
    "shift": 93,
    "training": 2,
    "tuned": 48,
}
EXTRAS = {"box2d": "Box2D", "mujoco": "mujoco"}
# Constructor keywords that the lab itself decides.
NOT_HYPERPARAMETERS = {
    "_init_setup_model",
    "device",
    "monitor_wrapper",
    "replay_buffer_class",
    "replay_buffer_kwargs",
    "rollout_buffer_class",
    "rollout_buffer_kwargs",
    "seed",
    "stats_window_size",
    "tensorboard_log",
    "verbose",
}
MAY_BE_FRACTIONS = ("max_grad_norm", "alive_bonus_offset")
FACTS = ["_target_", "name", "action_spaces", "settings", "algorithm", "policy"]
ACTION_SPACES = {
    "box": gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32),
    "discrete": gymnasium.spaces.Discrete(3),
    "multi_discrete": gymnasium.spaces.MultiDiscrete([2, 3]),
    "multi_binary": gymnasium.spaces.MultiBinary(3),
}


def names(group: str) -> list[str]:
    folder = CONF / group
    return sorted(p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.yaml"))


def raw(path: str) -> dict[str, Any]:
    """A file's own content, without what its defaults list brings."""
    data = OmegaConf.to_container(OmegaConf.load(CONF / f"{path}.yaml"))
    assert isinstance(data, dict)
    data.pop("defaults", None)
    return {str(key): value for key, value in data.items()}


def composed(*words: str, verb: str = "train") -> dict[str, Any]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        data = OmegaConf.to_container(compose(verb, list(words)), resolve=True)
    assert isinstance(data, dict)
    return {str(key): value for key, value in data.items()}


def leaves(data: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from leaves(value, *path, key)
    else:
        yield path, data


def assert_holds(delta: dict[str, Any], config: dict[str, Any]) -> None:
    for path, value in leaves(delta):
        if path:
            found: Any = config
            for key in path:
                found = found[key]
            assert found == value, ".".join(path)


def identifier(name: str) -> str:
    """The registered id behind a file of conf/env."""
    return str(raw(f"env/{name}")["id"])


def require_package(environment: str) -> None:
    entry = str(gymnasium.spec(environment).entry_point)
    for folder, package in EXTRAS.items():
        if f".{folder}." in entry:
            pytest.importorskip(package, reason=f"{environment} needs the extra {folder!r}")


with_environments = pytest.mark.parametrize(
    "name", [n for n in names("env") if n not in ("any", "atari")]
)
with_agents = pytest.mark.parametrize("name", names("agent"))
with_tuned = pytest.mark.parametrize("name", [n for n in names("tuned") if n != "none"])


# The tree ------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", FEWEST)
def test_no_file_of_a_group_has_gone(group: str) -> None:
    assert len(names(group)) >= FEWEST[group]


@pytest.mark.parametrize("name", names("."))
def test_the_usage_line_of_every_file_composes(name: str) -> None:
    lines = (CONF / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    purpose, command = [line for line in lines[:3] if not line.startswith("# @package")][:2]
    assert re.match(r"# \w", purpose)
    usage = re.fullmatch(r"# rl-lab (\w+)([^(]*).*", command)
    assert usage, "the second comment line is the command that uses the file"
    # Of a sweep (agent=ppo,dqn) the first value stands for all.
    words = [re.sub(r",.*", "", word) for word in usage[2].split() if "=" in word]
    composed(*worlds.typed_words(words), verb=usage[1])


def test_an_unknown_choice_is_an_error() -> None:
    with pytest.raises(MissingConfigException):
        composed("agent=pp0")


# Set keys that other files explain.
SETS_KEYS_OF_OTHERS = ("debug", "experiment", "search", "shift", "tuned")


@pytest.mark.parametrize(
    "name", [n for n in names(".") if n.partition("/")[0] not in SETS_KEYS_OF_OTHERS]
)
def test_every_key_is_explained_beside_it_in_its_group_or_on_a_page(name: str) -> None:
    group = CONF / name.rpartition("/")[0]
    beside = "\n".join(p.read_text(encoding="utf-8") for p in sorted(group.glob("*.yaml")))
    root = CONF.parent
    pages = [*root.glob("*.md"), *(root / "docs").glob("*.md")]
    told = "\n".join(p.read_text(encoding="utf-8") for p in pages)
    text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
    keys = set(re.findall(r"^ *(\w+):", text, re.MULTILINE)) - {"defaults", "_target_"}
    unexplained = [
        key
        for key in sorted(keys)
        if not re.search(rf"^ *{key}:.*# \w", beside, re.MULTILINE)
        and not re.search(rf"[`.{{ =]{key}[=:.`]", told)
    ]
    assert unexplained == []


# Environments --------------------------------------------------------------------------------


@with_environments
def test_environment_file_is_named_after_a_registered_id(name: str) -> None:
    data = composed(f"env={name}")["env"]
    # Wrapped into another world, an environment has another name.
    assert data.pop("name", data["id"]) == name
    assert data["id"] in gymnasium.registry
    assert data["id"] == name or data["wrappers"]
    assert list(data) == [
        *(field.name for field in dataclasses.fields(EnvironmentRecipe)),
        "imports",
        "anchors",
        "headline_shift",
        "termination",
    ]


@with_environments
def test_environment_anchors_agree_with_the_registry(name: str) -> None:
    anchors = Anchors(**raw(f"env/{name}")["anchors"])
    threshold = gymnasium.spec(identifier(name)).reward_threshold
    assert threshold in (None, anchors.solved)
    assert anchors.solved is None or anchors.random < anchors.solved
    assert None in (anchors.ceiling, anchors.solved) or anchors.solved <= anchors.ceiling


@with_environments
def test_environment_states_the_registered_step_limit(name: str) -> None:
    text = (CONF / "env" / f"{name}.yaml").read_text(encoding="utf-8")
    assert (
        f"null: the registered limit, {gymnasium.spec(identifier(name)).max_episode_steps}\n"
        in text
    )


@with_environments
def test_control_period_is_the_environments_own_clock(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_package(identifier(name))
    if "Resize" in str(raw(f"env/{name}")["wrappers"]):
        pytest.importorskip("cv2", reason="resizing needs the extra 'atari'")
    monkeypatch.chdir(tmp_path)  # MuJoCo may write a log file into the current folder.
    env = environments.make(EnvironmentRecipe.from_data(raw(f"env/{name}")))
    clock = getattr(env.unwrapped, "tau", getattr(env.unwrapped, "dt", None))
    if ".box2d." in str(gymnasium.spec(identifier(name)).entry_point):
        clock = 1.0 / env.metadata["render_fps"]
    env.close()
    assert raw(f"env/{name}")["anchors"]["control_period_s"] == pytest.approx(clock)


@with_environments
def test_headline_shift_exists(name: str) -> None:
    for shift in raw(f"env/{name}")["headline_shift"]:
        assert shift in names("shift") or f"{identifier(name)}/{shift}" in names("shift")


@with_environments
def test_headline_shifts_are_both_sides_of_one_parameter(name: str) -> None:
    found = shift_choice.declared(shift_choice.HEADLINE, identifier(name), Options(), "shift")
    assert len({shift.parameter for shift in found}) == 1
    assert len({shift.far > shift.nominal for shift in found}) == len(found) <= 2


def test_atari_is_any_game() -> None:
    assert composed("env=atari", "env.game=Pong")["env"]["id"] == "PongNoFrameskip-v4"
    assert composed("env=atari")["env"]["name"] == "BreakoutNoFrameskip-v4"


def test_any_needs_an_id() -> None:
    assert composed("env=any")["env"]["id"] == "???"
    assert composed("env=any", "env.id=Taxi-v4")["env"]["anchors"] is None


# Agents --------------------------------------------------------------------------------------


@pytest.fixture
def sb3() -> Any:
    return pytest.importorskip("rl_lab_agents.sb3", reason="needs torch and stable-baselines3")


@with_agents
def test_agent_defaults_are_those_of_the_library_in_its_order(name: str, sb3: Any) -> None:
    data = composed(f"agent={name}", "tuned=none")["agent"]
    defaults = sb3.constructor_defaults(data["algorithm"])
    expected = {k: v for k, v in defaults.items() if k not in NOT_HYPERPARAMETERS}
    found = {k: v for k, v in data.items() if k not in (*FACTS, "twin")}
    # The lab's own word for two keywords: the class of the replay buffer and its arguments.
    assert ("replay_buffer" in found) is ("replay_buffer_class" in defaults)
    assert found.pop("replay_buffer", None) is None
    assert set(found.pop("policy_kwargs").values()) == {None}
    assert expected.pop("policy_kwargs") is None
    assert found == expected
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert type(found[key]) is type(value), key


@with_agents
def test_agent_facts_come_first_and_name_what_exists(name: str, sb3: Any) -> None:
    data = raw(f"agent/{name}")
    assert list(data)[: len(FACTS)] == FACTS
    assert data["name"] == name
    assert sb3.resolve(data["_target_"]) is sb3.make


@pytest.mark.parametrize("name", [n for n in names("agent") if "twin" in raw(f"agent/{n}")])
def test_twins_differ_in_their_name_and_algorithm_only(name: str) -> None:
    own, twin = raw(f"agent/{name}"), raw(f"agent/{raw(f'agent/{name}')['twin']}")
    different = {k for k in own if own[k] != twin.get(k)}
    assert different == {"name", "algorithm", "twin"}
    assert set(own) - {"twin"} == set(twin)


@with_agents
def test_agent_policy_keywords_are_those_of_the_policy_class(name: str, sb3: Any) -> None:
    data = raw(f"agent/{name}")
    # Some keywords are those of another policy of the algorithm, as a comment there says.
    policies = sb3.resolve(data["algorithm"]).policy_aliases
    assert data["policy"] in policies
    known = {k for policy in policies.values() for k in inspect.signature(policy).parameters}
    assert set(data["policy_kwargs"]) <= known


class Still(gymnasium.Env[Any, Any]):
    """Only its spaces matter."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, action_space: gymnasium.Space[Any]) -> None:
        self.action_space = action_space


@pytest.mark.parametrize("kind", ACTION_SPACES)
@with_agents
def test_agent_lists_the_action_spaces_that_the_algorithm_takes(
    name: str, kind: str, sb3: Any
) -> None:
    data = raw(f"agent/{name}")
    assert spaces.to_data(ACTION_SPACES[kind])["kind"] == kind
    env = Still(ACTION_SPACES[kind])
    try:
        sb3.resolve(data["algorithm"])(data["policy"], env, _init_setup_model=False)
    except AssertionError:
        assert kind not in data["action_spaces"]
    else:
        assert kind in data["action_spaces"]


# Tuned settings ------------------------------------------------------------------------------


@with_tuned
def test_tuned_file_names_only_what_the_agent_and_the_training_have(name: str) -> None:
    environment, _, agent = name.partition("/")
    assert environment in names("env")
    data, known = raw(f"tuned/{name}"), raw(f"agent/{agent}")
    assert {"training", "agent"} <= set(data) <= {"training", "agent", "env"}
    assert set(data.get("env", {})) <= {"wrappers"}  # what the agent sees, not what it is paid
    assert set(data["training"]) <= {field.name for field in dataclasses.fields(Training)}
    assert set(data["agent"]) <= set(known)
    assert set(data["agent"].get("policy_kwargs", {})) <= set(known["policy_kwargs"])


@with_tuned
def test_tuned_values_have_the_type_of_what_they_replace(name: str) -> None:
    known = raw(f"agent/{name.partition('/')[2]}")
    data = raw(f"tuned/{name}")
    steps, n_envs = (data["training"][key] for key in ("steps", "n_envs"))
    assert type(steps) is type(n_envs) is int
    for key, value in data["agent"].items():
        if type(known[key]) in (bool, int) and key not in MAY_BE_FRACTIONS:
            assert type(value) is type(known[key]), key
        if type(known[key]) is float and isinstance(value, dict):
            assert sorted(value) == ["end", "schedule", "start"]


@with_tuned
def test_tuned_file_applies_by_itself_and_none_turns_it_off(name: str) -> None:
    environment, _, agent = name.partition("/")
    data = raw(f"tuned/{name}")
    words = (f"env={environment}", f"agent={agent}")
    assert_holds(data, composed(*words))
    assert composed(*words)["agent"]["settings"].startswith("tuned for ")
    plain = composed(*words, "tuned=none")
    assert plain["training"] == raw("train")["training"]
    assert plain["agent"] == raw(f"agent/{agent}")


def test_a_pair_without_tuned_file_has_the_defaults() -> None:
    data = composed("env=CartPole-v1", "agent=sac")
    assert data["agent"] == raw("agent/sac")
    assert data["training"] == raw("train")["training"]


def test_a_number_replaces_a_schedule_and_a_schedule_a_number() -> None:
    assert raw("agent/ppo")["learning_rate"] == 3e-4
    schedule = {"schedule": "linear", "start": 0.001, "end": 0.0}
    assert composed("env=CartPole-v1")["agent"]["learning_rate"] == schedule
    assert composed("agent.learning_rate=0.01")["agent"]["learning_rate"] == 0.01
    words = ("env=Acrobot-v1", "agent.learning_rate={schedule: linear, start: 0.001, end: 0.0}")
    assert composed(*words)["agent"]["learning_rate"] == schedule


def test_a_list_replaces_a_tuned_network() -> None:
    words = ("env=Hopper-v5", "agent.policy_kwargs.net_arch=[32]")
    assert composed(*words)["agent"]["policy_kwargs"]["net_arch"] == [32]


@with_tuned
def test_tuned_networks_are_lists_because_hydra_cannot_put_a_list_over_a_mapping(name: str) -> None:
    net_arch = raw(f"tuned/{name}")["agent"].get("policy_kwargs", {}).get("net_arch", [])
    # One for each network only where they differ.
    assert isinstance(net_arch, list) or len({str(sizes) for sizes in net_arch.values()}) > 1


# Training, experiments, debugging ------------------------------------------------------------


@pytest.mark.parametrize("name", names("training"))
def test_training_beats_the_tuned_file_and_has_exactly_its_fields(name: str) -> None:
    data = composed(f"training={name}")["training"]
    fields = [field.name for field in dataclasses.fields(Training)]
    assert [key for key in data if key in fields] == fields
    assert {*data} - {*fields} == {"contexts", "context_shifts", "selection_step_limit"}
    for key, value in raw(f"training/{name}").items():
        assert data[key] == value


@pytest.mark.parametrize("name", names("experiment"))
def test_experiment_beats_the_primary_config_and_the_tuned_file(name: str) -> None:
    delta = raw(f"experiment/{name}")
    plain, data = composed(), composed(f"experiment={name}")
    assert_holds(delta, data)
    assert set(data) == set(plain)
    assert set(data["training"]) == set(plain["training"])
    assert set(data["agent"]) == set(raw(f"agent/{data['agent']['name']}"))
    assert data != plain


def test_experiment_of_the_users_own_beats_every_value_of_the_primary_config(
    tmp_path: Path,
) -> None:
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\nseed: 7\noutput: elsewhere\nthreads: 2\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text, encoding="utf-8")
    data = composed("experiment=mine", f"hydra.searchpath=[file://{tmp_path}]")
    assert (data["seed"], data["output"], data["threads"]) == (7, "elsewhere", 2)


def test_experiment_switches_the_pair_and_so_the_tuned_file() -> None:
    data = composed("experiment=pendulum_sac")
    assert (data["env"]["id"], data["agent"]["name"]) == ("Pendulum-v1", "sac")
    assert data["agent"]["learning_rate"] == raw("tuned/Pendulum-v1/sac")["agent"]["learning_rate"]
    assert data["training"]["steps"] == raw("tuned/Pendulum-v1/sac")["training"]["steps"]
    other = composed("experiment=pendulum_sac", "env=LunarLanderContinuous-v3")
    assert other["env"]["id"] == "LunarLanderContinuous-v3"
    assert other["agent"]["learning_starts"] == 10_000


@pytest.mark.parametrize("name", names("debug"))
def test_debugging_beats_tuned_files_and_experiments(name: str) -> None:
    assert_holds(raw(f"debug/{name}"), composed(f"debug={name}"))
    assert_holds(raw(f"debug/{name}"), composed(f"debug={name}", "experiment=lunarlander_ppo"))


def test_the_command_line_beats_everything() -> None:
    words = ("experiment=cartpole_ppo", "debug=smoke", "training.steps=7", "agent.n_steps=8")
    data = composed(*words, "env=Acrobot-v1", "seed=3")
    assert data["training"]["steps"] == 7
    assert data["agent"]["n_steps"] == 8
    assert data["env"]["id"] == "Acrobot-v1"
    assert data["seed"] == 3

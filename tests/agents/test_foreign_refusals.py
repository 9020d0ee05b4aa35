"""Zoo folders, and files that are hostile, damaged or of something else; nothing in them runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rl_lab_agents.foreign import archive, statistics, texts, weights

from agents import foreign_files as foreign
from rl_lab import cli, load_policy
from rl_lab.errors import BadInput

CONFIG = """\
!!python/object/apply:collections.OrderedDict
- - - n_timesteps
    - 100000.0
  - - normalize
    - '{''norm_obs'': True, ''norm_reward'': False}'
  - - policy
    - MlpPolicy
  - - policy_kwargs
    - dict(log_std_init=-2, net_arch=[9, dict(pi=[7], vf=[5])], activation_fn=nn.Tanh)
  - - callback
    - !!python/object/apply:os.system ['mkdir MARKER']
"""
ARGUMENTS = """\
!!python/object/apply:collections.OrderedDict
- - - algo
    - ppo
  - - env
    - CartPole-v1
  - - env_kwargs
    - null
  - - hyperparams
    - !!python/object/apply:os.mkdir ['MARKER']
  - - device
    - !!python/name:os.getcwd ''
  - - seed
    - 7
"""


class Zoo:
    """A Zoo folder around an old PPO zip."""

    def __init__(self, folder: Path, config: str = CONFIG, arguments: str = ARGUMENTS) -> None:
        self.folder, self.marker = folder / "CartPole-v1_1", folder / "ran"
        inner = foreign.zoo_folder(
            self.folder,
            "CartPole-v1",
            config.replace("MARKER", str(self.marker)),
            arguments.replace("MARKER", str(self.marker)),
        )
        _, self.weights = foreign.old_ppo(self.folder / "CartPole-v1.zip", self.marker)
        self.moments = foreign.old_statistics(inner / "vecnormalize.pkl", 4, self.marker)
        self.inner, self.frozen = inner, folder / "frozen"

    def freeze(self, *words: str) -> int:
        return cli.main(["freeze", f"zoo={self.folder}", f"to={self.frozen}", *words])

    def assert_acts(self, normalized: bool = True) -> None:
        batch = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
        seen = batch
        if normalized:
            mean, variance = self.moments
            scaled = (batch.astype(np.float64) - mean) / np.sqrt(variance + 1e-8)
            seen = np.clip(scaled, -10.0, 10.0).astype(np.float32)
        actions, _ = load_policy(self.frozen).act_batch(batch)
        np.testing.assert_array_equal(actions, foreign.act_as_old_ppo(self.weights, seen))
        assert not self.marker.exists()


def test_a_zoo_folder_acts_and_no_tag_runs(tmp_path: Path) -> None:
    zoo = Zoo(tmp_path)
    assert zoo.freeze() == 0
    zoo.assert_acts()
    assert load_policy(zoo.frozen).card.environment["id"] == "CartPole-v1"


def test_the_best_model_is_taken_where_asked_or_alone(tmp_path: Path) -> None:
    zoo = Zoo(tmp_path)
    shutil.copy(zoo.folder / "CartPole-v1.zip", zoo.folder / "best_model.zip")
    assert zoo.freeze("which=best") == 0
    assert load_policy(zoo.frozen).card.provenance["source"]["file"] == "best_model.zip"
    (zoo.folder / "CartPole-v1.zip").unlink()
    shutil.rmtree(zoo.frozen)
    assert zoo.freeze() == 0
    zoo.assert_acts()


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("true", True),
        ("false", False),
        ('"dict(norm_obs=False, norm_reward=True)"', False),
        ("\"__import__('os').mkdir('MARKER') or {}\"", True),
    ],
)
def test_the_text_of_normalize_is_never_evaluated(
    text: str, normalized: bool, tmp_path: Path
) -> None:
    zoo = Zoo(tmp_path, config=f"normalize: {text}\nn_timesteps: 1\n")
    assert zoo.freeze() == 0
    zoo.assert_acts(normalized)


@pytest.mark.parametrize(
    ("config", "arguments", "complaint"),
    [
        ("policy_kwargs: __import__('os').mkdir('MARKER')\n", ARGUMENTS, "is code"),
        ("env_wrapper: [{a.b.Wrapper: {n: 1}}]\n", ARGUMENTS, "through a.b.Wrapper"),
        ("vec_env_wrapper: a.b.Wrapper\n", ARGUMENTS, "vec_env_wrapper"),
        (CONFIG, "env: CartPole-v1\nenv_kwargs: {file: /etc/passwd}\n", "env.kwargs.file=VALUE"),
        (CONFIG, "env: os:system\n", "unknown environment 'os:system'"),
        (CONFIG, "env: Ant-v3\n", "111 numbers"),
        ("a: 1\n", 'env: CartPole-v1\nenv_kwargs: {"\\e[2J": x}\n', "made with [2J=x"),
        ("[1, 2]\n", ARGUMENTS, "holds no mapping"),
        ("a: &a [*a\n", ARGUMENTS, "cannot be read"),
    ],
)
def test_a_zoo_folder_that_cannot_be_followed(
    config: str,
    arguments: str,
    complaint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    zoo = Zoo(tmp_path, config, arguments)
    assert zoo.freeze() == 2
    assert complaint in capsys.readouterr().err
    assert not zoo.marker.exists()
    assert not zoo.frozen.exists()


def test_constructor_arguments_that_are_numbers_come_along(tmp_path: Path) -> None:
    given = "{sutton_barto_reward: true, render_mode: human}"
    zoo = Zoo(tmp_path, arguments=f"env: CartPole-v1\nenv_kwargs: {given}\n")
    assert zoo.freeze() == 0
    kwargs = load_policy(zoo.frozen).card.environment["kwargs"]
    assert kwargs == {"sutton_barto_reward": True}


def test_other_arguments_have_to_be_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = Zoo(tmp_path, arguments="env: CartPole-v1\nenv_kwargs: {sutton_barto_reward: no way}\n")
    assert zoo.freeze() == 2
    assert "env.kwargs.sutton_barto_reward=VALUE" in capsys.readouterr().err
    assert zoo.freeze("env.kwargs.sutton_barto_reward=false") == 0
    zoo.assert_acts()


def test_an_id_of_the_users_own_package_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = Zoo(tmp_path)
    assert zoo.freeze("env=Ant-v3") == 2
    assert "111 numbers" in capsys.readouterr().err
    # Gymnasium itself says where it went.
    assert zoo.freeze("env=Ant-v3", "env.imports=[json]") == 2
    assert "environment Ant-v3" in capsys.readouterr().err


def test_shared_references_are_not_written_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A billion laughs: 30 lines of YAML or of pickle that would print as 10^30 words."""
    levels = "\n".join(
        f"l{i}: &l{i} [{', '.join([f'*l{i - 1}' if i else 'ha'] * 10)}]" for i in range(30)
    )
    for key in ("vec_env_wrapper", "env_wrapper", "policy_kwargs", "env_kwargs"):
        value = "{a: *l29}" if key.endswith("kwargs") else "*l29"
        zoo = Zoo(tmp_path / key, config=f"{levels}\n{key}: {value}\n")
        assert zoo.freeze() == 2
        assert len(capsys.readouterr().err) < 1_000
    zoo = Zoo(tmp_path / "env", arguments=f"{levels}\nenv: *l29\n")
    assert zoo.freeze() == 2
    assert len(capsys.readouterr().err) < 1_000


@pytest.mark.parametrize("attribute", ["clip_obs", "epsilon", "obs_rms", "mean"])
def test_shared_references_in_a_pickle_are_not_written_out(attribute: str, tmp_path: Path) -> None:
    bomb: Any = [1]
    for _ in range(30):
        bomb = [bomb] * 10
    env = foreign.DummyVecEnv([lambda: foreign.Dummy(foreign.OBSERVATIONS["box"], None)])
    made = foreign.normalized(env)
    setattr(made.obs_rms if attribute == "mean" else made, attribute, bomb)
    path = tmp_path / "vecnormalize.pkl"
    path.write_bytes(pickle.dumps(made))
    assert path.stat().st_size < 10_000
    with pytest.raises(BadInput) as caught:
        statistics.read(path)
    assert len(str(caught.value)) < 1_000


def test_a_link_into_a_run_is_no_way_around(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    (run / "policy").mkdir(parents=True)
    (run / "run.json").write_text("{}")
    (tmp_path / "link").symlink_to(run / "policy")
    path, _ = foreign.old_ppo(tmp_path / "m.zip", tmp_path / "ran")
    for target in ("link", "link/inside", "run", "run/../run/policy"):
        words = [f"zip={path}", "env=CartPole-v1", f"to={tmp_path / target}"]
        assert cli.main(["freeze", *words]) == 2
        assert "lies in the run" in capsys.readouterr().err
    assert [p.name for p in sorted(run.rglob("*"))] == ["policy", "run.json"]


@pytest.mark.parametrize("odd", [-5, True, 2**70, 1.5, "7", None])
def test_a_seed_that_no_training_can_have_had_is_not_known(odd: Any, tmp_path: Path) -> None:
    path, _ = foreign.old_ppo(tmp_path / "m.zip", tmp_path / "ran", seed=odd, num_timesteps=odd)
    target = tmp_path / "frozen"
    assert cli.main(["freeze", f"zip={path}", "env=CartPole-v1", f"to={target}"]) == 0
    card = load_policy(target).card
    assert (card.training_seed, card.steps) == (-1, 0)


def test_missing_statistics_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = Zoo(tmp_path)
    other = tmp_path / "elsewhere.pkl"
    (zoo.inner / "vecnormalize.pkl").rename(other)
    assert zoo.freeze() == 2
    assert "normalizer=FILE" in capsys.readouterr().err
    assert zoo.freeze(f"normalizer={other}") == 0
    zoo.assert_acts()


def test_hostile_zips_are_refused(tmp_path: Path) -> None:
    for complaint, path in foreign.hostile_zips(tmp_path).items():
        with pytest.raises(BadInput) as caught:
            archive.read(path, ["data"])
        assert complaint in str(caught.value), path
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".zip"] * 9


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("zip=model.zip to=x", "no env="),
        ("zip=model.zip env=CartPole-v1", "no to="),
        ("zip=model.zip run=y env=CartPole-v1 to=x", "run= and zip= at once"),
        ("zip=nowhere.zip env=CartPole-v1 to=x", "nowhere.zip is not a file"),
        ("zip=model.zip env=Pendulum-v1 to=x", "shape (4,) in the file, (3,) in the environment"),
        (
            "zip=model.zip env=InvertedPendulum-v5 to=x",
            "Discrete in the file, Box in the environment",
        ),
        ("zip=model.zip env=CartPol-v1 to=x", "Did you mean 'CartPole-v1'"),
        ("zip=model.zip env=Acrobot-v1 to=x", "shape (4,) in the file, (6,) in the environment"),
        ("zip=model.zip env=CartPole-v1 agent=dqn to=x", "tensor"),
        ("zip=model.zip env=CartPole-v1 normalizer=other.pkl to=x", "means of shape (3,)"),
        ("zip=model.zip env=CartPole-v1 trust=perhaps to=x", "trust='perhaps'"),
        ("zip=model.zip env=CartPole-v1 trust=true activation_fn=relu to=x", "one of them"),
        ("zoo=. to=x", "has 0 folders"),
    ],
)
def test_words_that_cannot_be_followed(
    words: str,
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    foreign.old_ppo(tmp_path / "model.zip", tmp_path / "ran")
    foreign.old_statistics(tmp_path / "other.pkl", 3)
    assert cli.main(["freeze", *words.split()]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "ran").exists()


def refused(path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command says about a zip that it refuses."""
    target = path.with_name("frozen")
    assert cli.main(["freeze", f"zip={path}", f"to={target}", *(words or ["env=CartPole-v1"])]) == 2
    assert not target.exists()
    return capsys.readouterr().err


def test_a_policy_class_of_its_own_asks_for_trust(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = foreign.policy_class("Mine", "somebody.policies")
    path, _ = foreign.old_ppo(tmp_path / "m.zip", tmp_path / "ran", policy_class=own)
    text = refused(path, capsys)
    assert "somebody.policies.Mine" in text
    assert "trust=true" in text


def test_unknown_keyword_arguments_ask_for_trust(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = foreign.old_ppo(tmp_path / "m.zip", tmp_path / "ran", policy_kwargs={"attention": 4})
    text = refused(path, capsys)
    assert "attention=4" in text
    assert "trust=true" in text


def test_other_bounds_of_actions_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spaces = {
        "observation_space": foreign.old_box((3,), -8.0, 8.0),
        "action_space": foreign.old_box((1,), -1.0, 1.0),
    }
    path, _ = foreign.old_ppo(tmp_path / "m.zip", tmp_path / "ran", **spaces)
    assert "low bounds [-1.0] in the file" in refused(path, capsys, "env=Pendulum-v1")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (lambda: pickle.dumps(os.getcwd), "more than tensors"),
        (lambda: _saved(os.getcwd), "more than tensors"),
        (lambda: _saved([torch.ones(2)]), "no state dict"),
        (lambda: _saved({"a": torch.ones(1).expand(10**6)}), "larger than the file"),
        (lambda: _saved({"a": torch.ones(2)}), "unknown algorithm"),
        (lambda: b"", "more than tensors"),
    ],
)
def test_a_state_dict_that_is_none(
    content: Any, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = foreign.write_zip(tmp_path / "m.zip", {}, content())
    assert complaint in refused(path, capsys)


def _saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_weights_that_are_not_finite_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, tensors = foreign.old_ppo(tmp_path / "m.zip", tmp_path / "ran")
    members = archive.read(path, ["data"]).members
    tensors["action_net.bias"][0] = np.nan
    foreign.write_zip(path, json.loads(members["data"]), foreign.state_dict(tensors))
    assert "NaN" in refused(path, capsys)


def test_layers_that_do_not_follow_each_other_are_not_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, tensors = foreign.old_ppo(tmp_path / "m.zip", tmp_path / "ran")
    tensors["mlp_extractor.policy_net.0.weight"] = np.zeros((2**20, 1), np.float32)
    data = json.loads(archive.read(path, ["data"]).members["data"])
    foreign.write_zip(path, data, foreign.state_dict(tensors))
    assert "layers that follow each other" in refused(path, capsys)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nothing",
        pickle.dumps({"obs_rms": 1}),
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\x00\x00.",  # a bytearray of 2^48 bytes
        b"\x80\x02r\xff\xff\xff\x7f.",  # a memo of 2^31 places
        b"\x80\x02cos\nsystem\n\x82\x01.",  # the registry of extensions
        b"\x80\x02Pmine\n.",  # an object that somebody else keeps
    ],
)
def test_statistics_that_are_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vecnormalize.pkl"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        statistics.read(path)


@pytest.mark.parametrize(
    "text",
    [
        "f()",
        "[x for x in y]",
        "lambda: 1",
        "1 + 1",
        "{**a}",
        "dict(**a)",
        "a[0]",
        "(" * 300,
        "f'{a}'",
    ],
)
def test_expressions_that_are_code(text: str) -> None:
    with pytest.raises(BadInput):
        texts.expression(text)


def test_expressions_that_are_data() -> None:
    text = "dict(net_arch=[64, dict(pi=(1, -2))], activation_fn=nn.ReLU, x={'a': None, 'b': True})"
    assert texts.expression(text) == {
        "net_arch": [64, {"pi": (1, -2)}],
        "activation_fn": "nn.ReLU",
        "x": {"a": None, "b": True},
    }


def test_only_tensors_are_kept() -> None:
    assert set(weights.read(_saved({"a": torch.ones(2), "b": 1}), "x")) == {"a"}

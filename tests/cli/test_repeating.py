"""`from=RUN` names the run again from its stored configuration, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_lab import cli, paths, runs
from rl_lab.cli import config, planning, repeating
from rl_lab.cli.options import Options
from rl_lab.errors import BadInput


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stored(words: list[str], text: str = "") -> planning.Planned:
    """A run's folder as its training would begin it."""
    planned = planning.plan(words, Options())
    folder = Path("kept")
    folder.mkdir()
    (folder / paths.RUN_CONFIG).write_text(text or planned.plan.config_text)
    runs.write(folder, {"status": "complete", "recipe_hash": planned.plan.recipe_hash})
    return planned


def again(*own: str) -> planning.Planned:
    (words,) = config.expand(repeating.expanded(["from=kept", *own], Options()), multirun=False)
    return planning.plan(words, Options())


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["seed=7", "agent=dqn", "agent.gamma=1.0"],
        ["env=Pendulum-v1", "agent=sac", "training.selection_every_steps=0"],
        ["agent.policy_kwargs.net_arch={pi:[8],vf:[4]}", "agent.policy_kwargs.activation_fn=relu"],
        ["agent.learning_rate={schedule:linear,start:0.1,end:1e-05}", "snapshots=false"],
        ["env=Taxi-v4", "agent=dqn", "tuned=none", "debug=smoke"],
        ["env=LunarLander-v3", "env.kwargs.gravity=-9.5", "checkpoint.every_s=0"],
        ["callback=[stop_on_return]", "callback.stop_on_return.threshold=321", "threads=2"],
        ["training.contexts=near", "logger=none"],
    ],
    ids=lambda words: " ".join(words) or "defaults",
)
def test_a_run_repeated_is_the_same_run(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = stored(words).plan, again().plan
    assert second.folder == first.folder
    ours = ("agent",)  # how its settings came about is said in other words
    assert {k: v for k, v in second.config.items() if k not in ours} == {
        k: v for k, v in first.config.items() if k not in ours
    }
    agents = [{**plan.config["agent"], "settings": ""} for plan in (first, second)]
    assert agents[0] == agents[1]
    assert "warning" not in capsys.readouterr().err


def test_words_vary_it() -> None:
    first = stored(["agent=dqn", "agent.gamma=0.9", "training.steps=500"]).plan
    varied = again("agent.gamma=0.8", "seed=3").plan
    expected = ["agent=dqn", "agent.gamma=0.8", "training.steps=500", "seed=3"]
    assert varied.folder == planning.plan(expected, Options()).plan.folder
    other = again("agent=a2c").plan
    assert (other.agent, other.training.steps) == ("a2c", first.training.steps)


def test_a_sweep_varies_it() -> None:
    stored(["agent=dqn"])
    words = repeating.expanded(["from=kept", "seed=0,1"], Options())
    assert len(config.expand(words, multirun=True)) == 2


@pytest.mark.parametrize(
    ("where", "then", "today"),
    [
        ("policy_kwargs", {"net_arch": [8]}, None),
        ("policy_kwargs", {}, None),
        ("policy_kwargs", {"net_arch": {"pi": [8]}}, {"net_arch": {"pi": [8], "vf": [4]}}),
        (
            "replay_buffer",
            {"standard": {"handle_timeout_termination": False}},
            {"her": {"n_sampled_goal": 4}},
        ),
        ("learning_rate", {"schedule": "constant", "value": 1e-3}, {"schedule": "x", "start": 1.0}),
    ],
)
def test_arguments_that_a_run_did_not_have_do_not_come_back(
    where: str, then: object, today: object
) -> None:
    known = config.compose("train", ["agent=dqn", "tuned=none"], Options())["agent"]
    source = {"_target_": known["_target_"], **known}
    folder = Path("own/agent")
    folder.mkdir(parents=True)
    options = Options(config_dir=Path("own"))
    (folder / "mine.yaml").write_text(config.to_yaml({**source, "name": "mine", where: then}))
    text = config.to_yaml(config.compose("train", ["agent=mine", "tuned=none"], options))
    (folder / "mine.yaml").write_text(
        config.to_yaml({**source, "name": "mine", **({where: today} if today else {})})
    )
    stored([], text)
    words = repeating.expanded(["from=kept", "seed=3"], options)
    data = config.compose("train", words, options)
    assert data["agent"][where] == then
    assert data["seed"] == 3


def test_a_pattern_names_the_run() -> None:
    stored(["seed=7"])
    assert repeating.expanded(["from=k*t"], Options()) == repeating.expanded(
        ["from=kept"], Options()
    )


def test_an_older_rl_lab_said_less(capsys: pytest.CaptureFixture[str]) -> None:
    planned = stored([])
    runs.write(Path("kept"), {"status": "complete", "recipe_hash": "of_then"})
    assert again().plan.folder == planned.plan.folder
    assert "recipe of_then is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("_target_: rl_lab_agents", "_target_: os.system", "is made by 'os.system"),
        ("gamma: 0.9", "gamma: ${oc.env:HOME}", "'${oc.env:HOME}' (expected plain values)"),
        ("name: ppo", "name: pppo", "Did you mean 'ppo'"),
        ("gamma: 0.9", "gama: 0.9", "agent.gamma"),
        ("agent:", "- agent", "is damaged"),
        ("gamma: 0.9", "gamma: !!python/object:os.system", "is damaged"),
        ("seed: 0", "seed: -1", "a whole number from 0"),
    ],
)
def test_a_configuration_is_read_as_data(old: str, new: str, said: str) -> None:
    text = planning.plan(["tuned=none", "agent.gamma=0.9"], Options()).plan.config_text
    assert old in text
    stored([], text.replace(old, new))
    with pytest.raises(BadInput) as caught:
        again()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("from=nowhere", "nowhere is not a run"),
        ("from=kept from=kept", "expected one run"),
        ("from=kept debug=smoke", "expected single values"),
        ("from=nowhere*", "'nowhere*' matches nothing"),
    ],
)
def test_bad_words(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    stored([])
    assert cli.main(["train", *words.split()]) == 2
    assert said in capsys.readouterr().err

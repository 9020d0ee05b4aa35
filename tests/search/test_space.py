"""Search spaces: every shipped file, constraints, and what a file may not say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rl_lab import paths
from rl_lab.cli import config
from rl_lab.errors import BadInput
from rl_lab.search import space

FILES = sorted((paths.conf_dir() / "search").glob("*.yaml"))


class Drawn:
    """A trial that draws a share of every range, and keeps the ranges."""

    def __init__(self, share: float) -> None:
        self.share, self.asked = share, dict[str, tuple[Any, ...]]()

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any:
        self.asked[name] = tuple(choices)
        return choices[min(len(choices) - 1, int(self.share * len(choices)))]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.asked[name] = (low, high, log)
        return low + self.share * (high - low)

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        self.asked[name] = (low, high, log)
        return round(low + self.share * (high - low))


def made(text: dict[str, Any]) -> space.Space:
    return space.from_data({"space": text}, "x.yaml")


def test_every_agent_has_a_space_and_its_keys_are_the_agents() -> None:
    spaces = {p.stem for p in FILES}
    agents = sorted((paths.conf_dir() / "agent").glob("*.yaml"))
    assert spaces <= {p.stem for p in agents}
    for path in agents:
        data = config.read_yaml(path)
        if "sb3" in data["_target_"] or "twin" in data:
            assert data.get("twin", path.stem) in spaces


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_shipped_space_sets_known_keys_within_its_constraints(path: Path, share: float) -> None:
    agent = config.read_yaml(paths.conf_dir() / "agent" / path.name)
    found = space.from_data(config.read_yaml(path), path.name)
    n_envs = 8
    values = found.draw(Drawn(share), {"training.n_envs": n_envs}.__getitem__)
    for key in values:
        section, *rest = key.split(".")
        assert section == "agent"
        assert rest[0] in agent, key
        assert len(rest) == 1 or rest[1] in agent[rest[0]], key
    if {"agent.batch_size", "agent.n_steps"} <= set(values):
        assert values["agent.batch_size"] <= values["agent.n_steps"] * n_envs
    if "agent.gamma" in values:
        assert 0.97 <= values["agent.gamma"] <= 0.9999
    assert all(not isinstance(v, float) or math.isfinite(v) for v in values.values())


def test_a_number_is_drawn_as_its_file_says() -> None:
    trial = Drawn(1.0)
    found = made(
        {
            "a.whole": {"low": 1, "high": 8},
            "a.power": {"low": 4, "high": 1024, "power_of": 2, "at_most": ["a.whole", "c.n"]},
            "a.real": {"low": 0.5, "high": 2.0, "log": True},
            "a.discount": {"low": 0.9, "high": 0.999, "one_minus": True, "log": True},
            "helper": {"choices": [None, "x"]},
            "a.same": {"same_as": "a.whole", "divided_by": "c.n"},
            "a.mapping": {"fields": {"kind": "helper", "n": "a.whole"}},
        }
    )
    values = found.draw(trial, {"c.n": 3}.__getitem__)
    assert trial.asked["a.power (power of 2)"] == (2, 4, False)  # 16 <= 8 * 3 < 32
    assert trial.asked["a.real"] == (0.5, 2.0, True)
    low, high, log = trial.asked["1 - a.discount"]
    assert (round(low, 9), round(high, 9), log) == (0.001, 0.1, True)
    assert values == {
        "a.whole": 8,
        "a.power": 16,
        "a.real": 2.0,
        "a.discount": pytest.approx(0.9),
        "a.same": 2,
        "a.mapping": {"kind": "x", "n": 8},
    }
    assert found.draw(Drawn(0.0), {"c.n": 4}.__getitem__)["a.mapping"] is None
    assert found.draw(Drawn(0.6), {"c.n": 100}.__getitem__)["a.same"] == 1


def test_a_constraint_that_leaves_nothing_is_named() -> None:
    found = made({"a.b": {"low": 64, "high": 128, "at_most": ["c.n"]}})
    with pytest.raises(BadInput, match=r"a\.b from 64 up, but at most c\.n = 32"):
        found.draw(Drawn(0.0), {"c.n": 32}.__getitem__)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (3, "a mapping such as"),
        ({"low": 1}, "one of"),
        ({"low": 1, "high": 2, "choices": [1]}, "one of"),
        ({"low": 3, "high": 2}, "low 3, high 2"),
        ({"low": 0.0, "high": 2.0, "log": True}, "above 0 where log"),
        ({"low": True, "high": 2}, "low True"),
        ({"lo": 1, "high": 2}, "Did you mean 'low'"),
        ({"choices": []}, "at least one value"),
        ({"low": 1, "high": 2, "at_most": ["later"]}, "refers to 'later'"),
        ({"same_as": "nowhere"}, "refers to 'nowhere'"),
    ],
)
def test_a_wrong_file_is_one_line(spec: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        made({"a.b": spec})


@pytest.mark.parametrize("data", [None, [], {}, {"space": {}}, {"space": {"a": 1}, "more": 1}])
def test_what_is_no_space(data: Any) -> None:
    with pytest.raises(BadInput):
        space.from_data(data, "x.yaml")

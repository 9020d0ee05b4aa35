"""Every file under conf/shift, in every environment that it is meant for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from omegaconf import OmegaConf

from rl_lab import shifts
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput

CONF = Path(__file__).resolve().parents[2] / "conf"
FILES = sorted((CONF / "shift").rglob("*.yaml"))
EXTRAS = {"box2d": "Box2D", "mujoco": "mujoco"}
# Where the shifts of a shared folder are tried: one environment of each kind.
SHARED = {"any": ("CartPole-v1", "Pendulum-v1"), "mujoco": ("Hopper-v5", "HalfCheetah-v5")}

each = pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
# Pictures of a race take ten seconds a shift; one stands for all where time is short.
RACES = [p for p in FILES if p.parent.name == "CarRacing-v3" and p.stem != "slippery_road"]
each_in_time = pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=pytest.mark.slow) if p in RACES else p for p in FILES],
    ids=lambda p: f"{p.parent.name}/{p.stem}",
)


def declared(path: Path) -> shifts.Shift:
    data: Any = OmegaConf.to_container(OmegaConf.load(path))
    return shifts.from_file(data)


def recipe(environment: str) -> EnvironmentRecipe:
    entry = str(gymnasium.spec(environment).entry_point)
    for folder, package in EXTRAS.items():
        if f".{folder}." in entry:
            pytest.importorskip(package, reason=f"{environment} needs the extra {folder!r}")
    return EnvironmentRecipe(environment, {}, (), None)


# What acts when the environment is made or reset; within an episode it could not move.
AT_THE_START = {
    "Acrobot-v1/wider_start",
    "BipedalWalker-v3/rough_ground",
    "BipedalWalker-v3/rougher_start",
    "BipedalWalker-v3/slippery_ground",
    "CartPole-v1/wider_start",
    "LunarLander-v3/rougher_start",
    "LunarLander-v3/turbulence",
    "LunarLander-v3/wind",
    "LunarLanderContinuous-v3/rougher_start",
    "LunarLanderContinuous-v3/turbulence",
    "LunarLanderContinuous-v3/wind",
}


@each_in_time
def test_it_changes_the_world_and_leaves_others_untouched(path: Path) -> None:
    shift = declared(path)
    environments = [
        environment
        for environment in SHARED.get(path.parent.name, (shift.environment,))
        if fits(shift, environment)
    ]
    assert environments
    for environment in environments:
        world = recipe(environment)
        shifts.require_effective(world, shifts.shifted(shift, 1.0))
        ramp = shifts.shifted(shift, 1.0, shifts.Schedule("ramp", "steps", 2, 5))
        if f"{path.parent.name}/{path.stem}" not in AT_THE_START:
            shifts.require_effective(world, ramp)
        else:
            with pytest.raises(BadInput, match=r"changes nothing|cannot move later"):
                shifts.require_effective(world, ramp)


def fits(shift: shifts.Shift, environment: str) -> bool:
    """A gain is for numbers, not for choices."""
    choices = isinstance(gymnasium.make(environment).action_space, gymnasium.spaces.Discrete)
    return not (choices and shift.acts.get("disturbance", {}).get("kind") == "action_gain")


@each
def test_it_lies_where_its_fields_say(path: Path) -> None:
    shift = declared(path)
    assert shift.name == path.stem
    assert path.parent.name == shift.environment or (
        shift.environment == shifts.ANY_ENVIRONMENT and path.parent.name in SHARED
    )
    assert shift.value(0.0) == shift.nominal
    assert shift.value(1.0) == shift.far
    assert shift.value(shift.near_delta) == pytest.approx(shift.near)
    assert 0.0 < shift.near_delta < 1.0
    assert shift.source
    usage = path.read_text(encoding="utf-8").splitlines()[1]
    assert re.search(rf" shift={path.parent.name}/{path.stem}$", usage)

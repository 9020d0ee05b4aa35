"""The sections of a training's configuration, each checked and typed by itself."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from rl_lab import paths, seeding, shifts
from rl_lab.agent import MakeAgent, Training
from rl_lab.cli import config, shift_choice, targets, typed
from rl_lab.cli.options import Options
from rl_lab.drift.reference import Settings, require_valid
from rl_lab.environments import Anchors, EnvironmentRecipe
from rl_lab.errors import BadInput
from rl_lab.shifts import World
from rl_lab.training.plan import CheckpointSettings

# Keys of the training section that the agent need not know; the rest is what `Training` holds.
_OURS = ("contexts", "context_shifts", "selection_step_limit")
_AGENT_FACTS = ("_target_", "name", "action_spaces", "settings", "twin")


def environment(
    data: Mapping[str, Any],
) -> tuple[EnvironmentRecipe, Anchors | None, tuple[str, ...]]:
    """The typed parts of an `env` section.

    Raises:
        BadInput: A key is unknown or of the wrong type.
    """
    # What a file of the user's leaves out is what an environment without a file has.
    data = {**config.read_yaml(paths.conf_dir() / "env" / "any.yaml"), **data}
    for key in ("name", "headline_shift", "termination", "game"):
        data.pop(key, None)
    anchors = data.pop("anchors", None)
    imports = typed.value(data.pop("imports", []), tuple[str, ...], "env.imports")
    recipe = typed.build(EnvironmentRecipe, data, "env")
    return recipe, typed.build(Anchors, anchors, "env.anchors") if anchors else None, imports


def world(data: Mapping[str, Any], recipe: EnvironmentRecipe, options: Options) -> World:
    """The training context, or what each episode's own is drawn from.

    Raises:
        BadInput: There is nothing to draw from, or it cannot be drawn there.
    """
    if data["contexts"] is None:
        return shifts.NOMINAL
    key = "training.context_shifts"
    chosen = shift_choice.declared(data["context_shifts"], recipe.id, options, key)
    if not chosen:
        raise BadInput(
            f"training.contexts={data['contexts']}: {recipe.id} has no headline shift",
            "a shift to draw contexts from",
            f"Give {key}=NAME; `rl-lab list shift/{recipe.id}` and shift/any show some.",
        )
    if data["vectorization"] not in ("sync", "subprocess"):
        raise BadInput(
            f"training.contexts with training.vectorization={data['vectorization']}",
            "sync or subprocess, which make each environment by itself",
            "A native vector environment would be made without the contexts.",
        )
    return shifts.drawn(str(data["contexts"]), chosen)


def training(data: Mapping[str, Any]) -> Training:
    """The typed part of a training section, checked, with what follows from its steps.

    Raises:
        BadInput: A key is unknown, of another type, or out of range.
    """
    data = dict(data)
    steps = typed.value(data.get("steps"), int, "training.steps")
    typed.positive(steps, "training.steps")
    if data.get("selection_every_steps") is None:
        data["selection_every_steps"] = max(1, steps // 10)
    made = training_of(data)
    for name in ("n_envs", "frame_stack", "selection_episodes"):
        typed.positive(getattr(made, name), f"training.{name}")
    for name in ("seconds", "log_every_steps"):
        if (limit := getattr(made, name)) is not None and limit < 0:
            raise BadInput(f"training.{name}={limit}", "a number of at least 0, or null")
    if made.n_envs > seeding.SEEDS_PER_RUN:
        raise BadInput(f"training.n_envs={made.n_envs}", f"at most {seeding.SEEDS_PER_RUN}")
    seeding.selection_seeds(0, made.selection_episodes)
    return made


def training_of(data: Mapping[str, Any]) -> Training:
    """The typed part of a resolved training section that the agent knows.

    What a run of an older version does not say is as it is where nothing is said.

    Raises:
        BadInput: A key is unknown, or of another type.
    """
    given = {**shipped(), **data}
    said = {key: value for key, value in given.items() if key not in _OURS}
    return typed.build(Training, said, "training")


@functools.cache
def shipped() -> Mapping[str, Any]:
    """The training section where nothing is said."""
    section: Mapping[str, Any] = config.read_yaml(paths.conf_dir() / "train.yaml")["training"]
    return section


def checkpoint(data: Mapping[str, Any], steps: int) -> CheckpointSettings:
    """The typed settings of how a training of so many steps is saved.

    Raises:
        BadInput: A key is unknown, or out of range.
    """
    data = dict(data)
    if data.get("every_steps") is None:
        data["every_steps"] = max(1, steps // 10)
    settings = typed.build(CheckpointSettings, data, "checkpoint")
    for name in ("every_steps", "keep_last"):
        typed.positive(getattr(settings, name), f"checkpoint.{name}")
    for name in ("every_s", "keep_every_steps"):
        if (number := getattr(settings, name)) < 0:
            raise BadInput(f"checkpoint.{name}={number}", "a number of at least 0")
    return settings


def monitoring(data: Mapping[str, Any]) -> Settings:
    """The typed settings of a policy's own statistics.

    Raises:
        BadInput: They give no threshold.
    """
    settings = typed.build(Settings, data, "monitoring")
    require_valid(settings, "monitoring")
    return settings


def make_agent(agent: Mapping[str, Any]) -> MakeAgent:
    """The factory that an agent's `_target_` names, with its settings bound.

    Raises:
        BadInput: The target cannot be imported.
    """
    factory = targets.target_of(agent, "agent")
    settings = {k: v for k, v in agent.items() if k not in _AGENT_FACTS}
    made: MakeAgent = functools.partial(factory, **settings)
    return made

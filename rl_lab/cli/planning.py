"""A training's configuration checked and typed, before anything slow is imported."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import environments, files, paths, seeding, shifts, spaces
from rl_lab.agent import Training
from rl_lab.cli import (
    callback_choice,
    config,
    environment_choice,
    training_sections,
    tuned_choice,
    typed,
)
from rl_lab.cli.options import Options
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput
from rl_lab.shifts import Drawn, World
from rl_lab.training.plan import RunPlan

# Keys that came later, each with what trainings did before there was such a key. They are part of a
# recipe only where they say something else, so that folders keep their names; what is shipped today
# does not matter, or another default would train something else into an old folder.
_LATER: Mapping[str, Any] = {
    "device": "cpu",
    "parallel_updates": False,
    "log_info": [],
    "selection_step_limit": 100_000,
}


@dataclasses.dataclass(frozen=True)
class Planned:
    """One run as asked for.

    Attributes:
        words: The overrides that name it, as they were given.
        plan: What they mean.
        agent: The agent's configuration.
    """

    words: tuple[str, ...]
    plan: RunPlan
    agent: Mapping[str, Any]


def plan(words: Sequence[str], options: Options) -> Planned:
    """Check one training's words and say what they mean.

    Raises:
        BadInput: Anything about them is wrong.
    """
    return Planner(options).plan(words)


class Planner:
    """Plans many trainings, looking at each file and each environment once.

    Args:
        options: Say where the user's own files are.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._composer = config.Composer("train", options)
        self._legal: set[str] = set()

    def plan(self, words: Sequence[str]) -> Planned:
        """Check one training's words and say what they mean.

        Raises:
            BadInput: Anything about them is wrong.
        """
        given, words = words, self._readable(words)
        data = self._composer.compose(words)
        if tuned := tuned_choice.of_twin(words, data, self._options):
            words = [*words, tuned]
            data = self._composer.compose(words)
        return self._planned(given, words, data)

    def _readable(self, words: Sequence[str]) -> list[str]:
        tuned_choice.require_file(words, self._options)
        environment_choice.require_one_id(words)
        return [_free_key(w) for w in environment_choice.with_registered(words, self._options)]

    def differ_in_seed_alone(self, one: Sequence[str], two: Sequence[str]) -> bool:
        """Whether two trainings are of one recipe, and the seed steers nothing else of theirs."""
        datas = [self._composer.compose(self._readable(words)) for words in (one, two)]
        return {**datas[0], "seed": None} == {**datas[1], "seed": None}

    def _planned(
        self, given: Sequence[str], words: Sequence[str], data: Mapping[str, Any]
    ) -> Planned:
        recipe, anchors, imports = training_sections.environment(data["env"])
        world = training_sections.world(data["training"], recipe, self._options)
        training = training_sections.training(data["training"])
        seed = typed.value(data["seed"], int, "seed")
        seeding.training_seed(seed)
        threads = typed.value(data["threads"], int, "threads")
        typed.positive(threads, "threads")
        told = tuned_choice.told(data, words, self._options, self._composer)
        agent = {**data["agent"], "settings": told}
        self._require_legal(recipe, imports, agent, world)
        callbacks = callback_choice.build(data["callback"])
        limit = data["training"]["selection_step_limit"]
        limit = typed.positive_int(limit, "training.selection_step_limit")
        code = _recipe_hash(recipe, agent, training, threads, data["callback"], world, limit)
        resolved = {**data, "agent": agent}
        resolved["training"] = {**data["training"], **dataclasses.asdict(training)}
        output = typed.folder(data["output"], "output")
        label = str(data["env"].get("name") or recipe.id)
        recipe_folder = paths.recipe_folder(output, label, agent["name"], code)
        run = RunPlan(
            folder=paths.run_folder(recipe_folder, seed),
            environment=recipe,
            world=world,
            anchors=anchors,
            imports=imports,
            agent=agent["name"],
            settings=str(agent["settings"]),
            training=training,
            selection_step_limit=limit,
            seed=seed,
            recipe_hash=code,
            checkpoint=training_sections.checkpoint(data["checkpoint"], training.steps),
            answer_within_s=typed.value(data["answer_within_s"], float, "answer_within_s"),
            config=resolved,
            config_text=config.to_yaml(resolved),
            tensorboard=typed.value(data["logger"]["tensorboard"], bool, "logger.tensorboard"),
            threads=threads,
            command=shlex.join(["rl-lab", "train", *given]),
            snapshots=typed.value(data["snapshots"], bool, "snapshots"),
            callbacks=callbacks,
            monitoring=training_sections.monitoring(data["monitoring"]),
        )
        return Planned(tuple(given), run, agent)

    def _require_legal(
        self,
        recipe: EnvironmentRecipe,
        imports: tuple[str, ...],
        agent: Mapping[str, Any],
        world: World,
    ) -> None:
        key = repr((recipe, imports, agent["name"], agent["action_spaces"], world))
        if key not in self._legal:
            _require_legal(recipe, imports, agent, world)
            self._legal.add(key)


def _recipe_hash(
    recipe: EnvironmentRecipe,
    agent: Mapping[str, Any],
    training: Training,
    threads: int,
    callbacks: Mapping[str, Any],
    world: World,
    selection_step_limit: int,
) -> str:
    """Names what is trained: whatever can move a weight, and the agent's name.

    Threads are in it, as sums in another order round differently.
    """
    settings = {k: v for k, v in agent.items() if k not in ("settings", "action_spaces")}
    parts = {"environment": recipe.to_data(), "agent": settings, "threads": threads}
    said = {**vars(training), "selection_step_limit": selection_step_limit}
    chosen = {k: v for k, v in _canonical(said).items() if k not in _LATER or v != _LATER[k]}
    takes_replay = chosen.pop("warm_start_replay")
    if training.warm_start is not None:
        from rl_lab.training import warm_start  # it loads frozen policies

        run = Path(training.warm_start)
        chosen["warm_start"] = warm_start.identity(run, takes_replay)
    if callbacks:
        parts["callbacks"] = callbacks
    if isinstance(world, Drawn):
        parts["contexts"] = world.to_data()
    return files.canonical_hash(_canonical({**parts, "training": chosen}))


def _canonical(data: Any) -> Any:
    """The same data with 1.0 as 1, so that two spellings of a number are one recipe."""
    if isinstance(data, Mapping):
        return {key: _canonical(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_canonical(value) for value in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


_FREE = ("env.kwargs.", "env.kwargs=", "launcher.options.", "launcher.options=")


def _free_key(word: str) -> str:
    """Constructor arguments and sbatch's options are not ours: any may be given, without a plus."""
    return f"++{word}" if word.startswith(_FREE) else word


def _require_legal(
    recipe: EnvironmentRecipe, imports: tuple[str, ...], agent: Mapping[str, Any], world: World
) -> None:
    """Make the environment once: whatever is wrong with it shows before torch is imported."""
    for shift in world.shifts if isinstance(world, Drawn) else ():
        shifts.require_effective(recipe, shifts.shifted(shift, shift.near_delta), imports)
    env = shifts.make_world(recipe, world, imports=imports)
    try:
        _, action_space = environments.space_data(env)
    finally:
        env.close()
    kinds = agent["action_spaces"]
    if action_space["kind"] not in kinds:
        raise BadInput(
            f"{agent['name']} cannot act in {recipe.id}, whose actions are {action_space['kind']}",
            f"an environment with {' or '.join(kinds)} actions",
            f"Choose another agent for {recipe.id}: {_others(action_space)}.",
        )


def _others(action_space: spaces.SpaceData) -> str:
    """Agents of the shipped configuration that can act in the space."""
    fitting = []
    for name in config.options_of("agent", None):
        data = config.read_yaml(paths.conf_dir() / "agent" / f"{name}.yaml")
        if action_space["kind"] in data.get("action_spaces", []):
            fitting.append(name)
    return ", ".join(fitting)

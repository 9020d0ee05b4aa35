"""A training's configuration checked and typed, before anything slow is imported."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import environments, files, paths, seeding, shifts, spaces
from rl_lab.agent import MakeAgent, Training
from rl_lab.cli import callback_choice, config, targets, typed, worlds
from rl_lab.cli.options import Options
from rl_lab.drift.reference import Settings, require_valid
from rl_lab.environments import Anchors, EnvironmentRecipe
from rl_lab.errors import BadInput, closest
from rl_lab.shifts import Drawn, World
from rl_lab.training.plan import CheckpointSettings, RunPlan

# Keys of the training section that the agent need not know; the rest is what `Training` holds.
_OURS = ("contexts", "context_shifts", "selection_step_limit")
# Keys that came later are part of a recipe only where they say something else than is shipped, so
# that folders keep their names.
_LATER = ("device", "parallel_updates", "log_info", "selection_step_limit")
_AGENT_FACTS = ("_target_", "name", "action_spaces", "settings", "twin")


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
        if tuned := _tuned_of_twin(words, data, self._options):
            words = [*words, tuned]
            data = self._composer.compose(words)
        return self._planned(given, words, data)

    def _readable(self, words: Sequence[str]) -> list[str]:
        _require_tuned_file(words, self._options)
        _require_one_id(words)
        return [_free_key(word) for word in with_registered_environment(words, self._options)]

    def differ_in_seed_alone(self, one: Sequence[str], two: Sequence[str]) -> bool:
        """Whether two trainings are of one recipe, and the seed steers nothing else of theirs."""
        datas = [self._composer.compose(self._readable(words)) for words in (one, two)]
        return {**datas[0], "seed": None} == {**datas[1], "seed": None}

    def _planned(
        self, given: Sequence[str], words: Sequence[str], data: Mapping[str, Any]
    ) -> Planned:
        recipe, anchors, imports = environment(data["env"])
        world = _world(data["training"], recipe, self._options)
        training = _training(data["training"])
        seed = typed.value(data["seed"], int, "seed")
        seeding.training_seed(seed)
        threads = typed.value(data["threads"], int, "threads")
        typed.positive(threads, "threads")
        agent = {**data["agent"], "settings": _settings(data, words, self._options, self._composer)}
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
            checkpoint=checkpoint(data["checkpoint"], training.steps),
            answer_within_s=typed.value(data["answer_within_s"], float, "answer_within_s"),
            config=resolved,
            config_text=config.to_yaml(resolved),
            tensorboard=typed.value(data["logger"]["tensorboard"], bool, "logger.tensorboard"),
            threads=threads,
            command=shlex.join(["rl-lab", "train", *given]),
            snapshots=typed.value(data["snapshots"], bool, "snapshots"),
            callbacks=callbacks,
            monitoring=monitoring(data["monitoring"]),
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


def monitoring(data: Mapping[str, Any]) -> Settings:
    """The typed settings of a policy's own statistics.

    Raises:
        BadInput: They give no threshold.
    """
    settings = typed.build(Settings, data, "monitoring")
    require_valid(settings, "monitoring")
    return settings


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
    shipped = _canonical(_shipped_training())
    said = {**vars(training), "selection_step_limit": selection_step_limit}
    chosen = {k: v for k, v in _canonical(said).items() if k not in _LATER or v != shipped[k]}
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


def _settings(
    data: Mapping[str, Any], words: Sequence[str], options: Options, composer: config.Composer
) -> str:
    """Where the hyperparameters come from, and what the command or an experiment changed."""
    agent = data["agent"]
    chosen = [w for w in words if w.startswith(("env=", "env.id=", "agent=", "tuned="))]
    if not any(word.startswith("env=") for word in chosen):
        known = data["env"]["id"] in config.options_of("env", options.config_dir)
        chosen += [f"env={data['env']['id']}"] if known else []
    if not any(word.startswith("agent=") for word in chosen):
        chosen.append(f"agent={agent['name']}")
    base = composer.compose(chosen)
    changed = [
        f"{key}={value}"
        for section in ("agent", "training")
        for key, value in data[section].items()
        if value != base[section].get(key)
    ]
    return "; ".join(filter(None, [str(agent["settings"]), ", ".join(changed)]))


def _tuned_of_twin(words: Sequence[str], data: Mapping[str, Any], options: Options) -> str | None:
    """The tuned settings of the agent that this one is a twin of, as a word; None without any."""
    twin = data["agent"].get("twin")
    if twin is None or any(word.startswith("tuned=") for word in words):
        return None
    own, other = (f"{data['env']['id']}/{agent}" for agent in (data["agent"]["name"], twin))
    if _has_tuned_file(own, options) or not _has_tuned_file(other, options):
        return None
    return f"tuned={other}"


_FREE = ("env.kwargs.", "env.kwargs=", "launcher.options.", "launcher.options=")


def _free_key(word: str) -> str:
    """Constructor arguments and sbatch's options are not ours: any may be given, without a plus."""
    return f"++{word}" if word.startswith(_FREE) else word


def _require_one_id(words: Sequence[str]) -> None:
    for word in words:
        if word.lstrip("+").startswith("env.id="):
            name = word.partition("=")[2]
            raise BadInput(word, "the environment by its id alone", f"Give env={name}.")


def _has_tuned_file(name: str, options: Options) -> bool:
    roots = [paths.conf_dir(), *([options.config_dir] if options.config_dir else [])]
    return any((root / "tuned" / f"{name}.yaml").is_file() for root in roots)


def _require_tuned_file(words: Sequence[str], options: Options) -> None:
    for word in words:
        key, _, name = word.partition("=")
        if key != "tuned":
            continue
        if not _has_tuned_file(name, options):
            raise BadInput(
                f"unknown tuned settings {name!r}",
                "none, or ENVIRONMENT/AGENT of a file under conf/tuned",
                "Without tuned=, the file of the pair applies by itself where there is one.",
            )


def with_registered_environment(words: Sequence[str], options: Options) -> list[str]:
    """Let `env=ID` name any registered environment, with or without a file of its own.

    Raises:
        BadInput: There is neither a file nor a registered environment of that name.
    """
    result = list(words)
    for i, word in enumerate(words):
        key, _, name = word.partition("=")
        if key != "env":
            continue
        known = config.options_of("env", options.config_dir)
        if name in known:
            continue
        environments.register(imports_of(words))
        import gymnasium

        if name not in gymnasium.registry:
            raise BadInput(
                f"unknown environment {name!r}",
                "a registered Gymnasium id",
                closest(name, [*known, *gymnasium.registry])
                or "`rl-lab list env` shows some; env.imports=[PACKAGE] adds yours.",
            )
        result[i : i + 1] = ["env=any", f"env.id={name}"]
    return result


def imports_of(words: Sequence[str]) -> list[str]:
    """Packages that words name with `env.imports=`."""
    for word in words:
        key, _, names = word.partition("=")
        if key == "env.imports":
            return [n.strip(" '\"") for n in names.strip("[] ").split(",") if n.strip(" '\"")]
    return []


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


def _world(data: Mapping[str, Any], recipe: EnvironmentRecipe, options: Options) -> World:
    """The training context, or what each episode's own is drawn from."""
    if data["contexts"] is None:
        return shifts.NOMINAL
    key = "training.context_shifts"
    chosen = worlds.declared(data["context_shifts"], recipe.id, options, key)
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


def training_of(data: Mapping[str, Any]) -> Training:
    """The typed part of a resolved training section that the agent knows.

    What a run of an older version does not say is as it is where nothing is said.

    Raises:
        BadInput: A key is unknown, or of another type.
    """
    given = {**_shipped_training(), **data}
    said = {key: value for key, value in given.items() if key not in _OURS}
    return typed.build(Training, said, "training")


@functools.cache
def _shipped_training() -> Mapping[str, Any]:
    section: Mapping[str, Any] = config.read_yaml(paths.conf_dir() / "train.yaml")["training"]
    return section


def _training(data: Mapping[str, Any]) -> Training:
    data = dict(data)
    steps = typed.value(data.get("steps"), int, "training.steps")
    typed.positive(steps, "training.steps")
    if data.get("selection_every_steps") is None:
        data["selection_every_steps"] = max(1, steps // 10)
    training = training_of(data)
    for name in ("n_envs", "frame_stack", "selection_episodes"):
        typed.positive(getattr(training, name), f"training.{name}")
    for name in ("seconds", "log_every_steps"):
        if (limit := getattr(training, name)) is not None and limit < 0:
            raise BadInput(f"training.{name}={limit}", "a number of at least 0, or null")
    if training.n_envs > seeding.SEEDS_PER_RUN:
        raise BadInput(f"training.n_envs={training.n_envs}", f"at most {seeding.SEEDS_PER_RUN}")
    seeding.selection_seeds(0, training.selection_episodes)
    return training


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


def make_agent(agent: Mapping[str, Any]) -> MakeAgent:
    """The factory that an agent's `_target_` names, with its settings bound.

    Raises:
        BadInput: The target cannot be imported.
    """
    factory = targets.target_of(agent, "agent")
    settings = {k: v for k, v in agent.items() if k not in _AGENT_FACTS}
    made: MakeAgent = functools.partial(factory, **settings)
    return made

"""Copy a run's frozen policy into a folder of its own, or freeze a policy from elsewhere.

usage: rl-lab freeze run=FOLDER to=FOLDER [which=final|best]
       rl-lab freeze zip=FILE env=ID to=FOLDER [normalizer=vecnormalize.pkl] [trust=true]
       rl-lab freeze zoo=FOLDER to=FOLDER [which=final|best] [trust=true]

Every finished run holds two frozen policies already, policy/ (the final one) and best/ (the best on
the selection seeds). A frozen policy is a folder with policy.onnx and policy.json, as specified in
docs/frozen-policy.md.

zip= takes what stable-baselines3 or sb3-contrib saved, zoo= a run folder of the RL Zoo, old or new.
Weights and plain data are read, nothing in the file is executed, and the message says where that is
not enough. trust=true lets the file run code: only for files of people you trust.

  env=ID                     of today or of old; also env.kwargs.KEY=VALUE, env.imports=[PACKAGE]
  agent=sac                  the algorithm, where the file does not tell
  normalizer=FILE            statistics of VecNormalize; normalizer=none: there was none
  activation_fn=relu         where the file does not tell
  frame_stack=4              where observations were stacked
  monitoring=none            no statistics for rl_lab.DriftMonitor beside the policy
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rl_lab
from rl_lab import environments, files, frozen_policy, paths, runs
from rl_lab.cli import cards, config, environment_choice, targets, training_sections, typed
from rl_lab.cli.options import Options
from rl_lab.drift.accompanying import accompany
from rl_lab.drift.reference import Settings
from rl_lab.environments import Anchors, EnvironmentRecipe
from rl_lab.errors import EXIT_DONE, BadInput
from rl_lab.frozen_policy import FrozenPolicy, load_policy

_SOURCES = ("run", "zip", "zoo")
_OF_ELSEWHERE = ("normalizer", "activation_fn", "frame_stack", "trust")


def run(options: Options, words: list[str]) -> int:
    """Freeze; returns the exit code."""
    words = config.expand(words, multirun=False)[0]
    about_env = [word for word in words if _key(word) == "env" or _key(word).startswith("env.")]
    data = config.compose("freeze", [word for word in words if word not in about_env], options)
    if options.show_config:
        print(config.to_yaml(data), end="")
        return EXIT_DONE
    source = _only_source(data)
    monitoring = training_sections.monitoring(data["monitoring"])
    target = Path(str(data["to"]))
    _require_outside_runs(target)
    if source == "run":
        _require_unset(data, about_env)
        policy = _of_run(data)
        paths.require_writable(target)
    else:
        policy = _from_elsewhere(data, words, about_env, options)
    frozen_policy.save(policy, target)
    print(cards.card_text(policy))
    if reason := _accompany(policy, target, monitoring, words):
        print(f"no statistics for monitoring: {reason}")
    print(f"\nfrozen policy: {target}")
    return EXIT_DONE


def _accompany(policy: FrozenPolicy, target: Path, settings: Settings, words: Sequence[str]) -> str:
    """Statistics of the policy's own world: its run's, or else new ones; returns why none."""
    source = policy.folder / paths.REFERENCE if policy.folder else None
    if source and source.is_file() and settings.episodes:
        files.write_bytes(target / paths.REFERENCE, source.read_bytes())
        return ""
    recipe = EnvironmentRecipe.from_data(policy.card.environment)
    imports = environment_choice.imports_of(words)
    return accompany([target], lambda: environments.make(recipe, imports=imports), settings)


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _only_source(data: Mapping[str, Any]) -> str:
    given = [key for key in _SOURCES if data[key] is not None]
    if len(given) != 1:
        raise BadInput(
            f"{' and '.join(f'{key}=' for key in given)} at once" if given else "no run=",
            "one of run=FOLDER, zip=FILE, zoo=FOLDER",
            "`rl-lab list` shows the runs.",
        )
    if data["to"] is None:
        raise BadInput("no to=", "to=FOLDER, where the frozen policy goes", "Give to=FOLDER.")
    return given[0]


def _require_outside_runs(target: Path) -> None:
    """A run's own policies are part of its record."""
    if target.is_file():
        raise BadInput(f"to={target} is a file", "a folder", "Choose another to=FOLDER.")
    places = (target.absolute(), target.resolve())
    for folder in {p for place in places for p in (place, *place.parents)}:
        if (folder / paths.RUN_CARD).is_file():
            raise BadInput(
                f"to={target} lies in the run {folder}",
                "a folder outside of runs",
                "Choose another to=FOLDER.",
            )


def _require_unset(data: Mapping[str, Any], about_env: Sequence[str]) -> None:
    """Refuse words about files from elsewhere: a run says all of that itself."""
    given = [key for key in (*_OF_ELSEWHERE, "agent") if data.get(key)]
    given += [_key(word) for word in about_env]
    if given:
        raise BadInput(
            f"{given[0]}= with run=",
            "zip= or zoo= beside it",
            "A run says it itself; leave it out.",
        )


def _which(data: Mapping[str, Any]) -> str:
    which: str = typed.value(data["which"], str, "which")
    if which not in runs.POLICIES:
        raise BadInput(f"which={which}", " or ".join(runs.POLICIES))
    return which


def _of_run(data: Mapping[str, Any]) -> FrozenPolicy:
    folder = runs.POLICIES[_which(data)]
    source = paths.one(str(data["run"]))
    runs.require_complete(source)
    return load_policy(source / folder)


def _from_elsewhere(
    data: Mapping[str, Any], words: Sequence[str], about_env: Sequence[str], options: Options
) -> FrozenPolicy:
    trust = typed.value(data["trust"], bool, "trust")
    activation = typed.value(data["activation_fn"], str | None, "activation_fn")
    frames = typed.value(data["frame_stack"], int | None, "frame_stack")
    if frames is not None:
        typed.positive(frames, "frame_stack")
    paths.require_writable(Path(str(data["to"])))
    found = _open(data, about_env)
    recipe, anchors, imports = _environment(found, words, about_env, options)
    agent = data.get("agent") or {}
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    reading = found.read(
        lambda: environments.make(recipe, imports=imports),
        algorithm=agent.get("algorithm"),
        activation_fn=activation,
        frame_stack=frames,
        trust=trust,
    )
    # Imports torch, as reading did; whatever is wrong with the words has shown before.
    from rl_lab import freezing

    facts = {
        "agent": agent.get("name", reading.agent),
        "training_seed": reading.training_seed,
        "steps": reading.steps,
        "recipe_hash": files.canonical_hash(
            {"environment": recipe.to_data(), "recipe": reading.recipe}
        ),
        "environment": recipe.to_data(),
        "anchors": vars(anchors) if anchors else None,
        "provenance": {
            "rl_lab": rl_lab.__version__,
            "settings": reading.settings,
            "source": reading.source,
        },
    }
    return freezing.freeze(reading.policy, facts)


def _open(data: Mapping[str, Any], about_env: Sequence[str]) -> Any:
    """What the configured reader finds; see `rl_lab_agents.foreign.reading.Source`."""
    open_source = targets.target_of(data["reader"], "reader")
    ids = {_key(word): word.partition("=")[2].strip("'\"") for word in about_env}
    environment = ids.get("env.id", ids.get("env"))
    return open_source(
        zip=None if data["zip"] is None else paths.one(str(data["zip"])),
        zoo_folder=None if data["zoo"] is None else paths.one(str(data["zoo"])),
        env=environment,
        keep_env="env.imports" in ids,
        normalizer=typed.value(data["normalizer"], str | None, "normalizer"),
        which=_which(data),
    )


def _environment(
    found: Any, words: Sequence[str], about_env: Sequence[str], options: Options
) -> tuple[EnvironmentRecipe, Anchors | None, tuple[str, ...]]:
    """The environment that the policy is to act in, from today's id and the user's words."""
    if found.environment is None:
        raise BadInput(
            "no env=",
            "the id of the environment that the policy was trained in",
            "A zip does not say it: give env=ID.",
        )
    rest = [word for word in words if _key(word) not in ("env", "env.id")]
    # Constructor arguments are the environment's: any key may be given, without a plus.
    rest = [f"++{w}" if w in about_env and _key(w).startswith("env.kwargs") else w for w in rest]
    choice = [f"env={found.environment}", *rest]
    choice = environment_choice.with_registered(choice, options)
    recipe, anchors, imports = training_sections.environment(
        config.compose("freeze", choice, options)["env"]
    )
    if found.wrappers and not recipe.wrappers:
        raise BadInput(
            f"the policy saw its environment through {', '.join(found.wrappers)}",
            "the same wrappers around today's environment",
            "Give env.wrappers=[{name: package.Wrapper}] and env.imports=[package].",
        )
    for key in sorted(set(found.withheld) - set(recipe.kwargs)):
        raise BadInput(
            f"the environment was made with {key}={found.withheld[key]}",
            "numbers and booleans, which alone are taken over from a file",
            f"If it is harmless, give it yourself: env.kwargs.{key}=VALUE.",
        )
    data = {**recipe.to_data(), "kwargs": {**found.env_kwargs, **recipe.kwargs}}
    return EnvironmentRecipe.from_data(data), anchors, imports

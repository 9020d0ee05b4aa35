"""The best trial of a study, and its values as a file of tuned settings."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab import files, paths
from rl_lab.cli import config, tuning_record
from rl_lab.cli.tuning import Request
from rl_lab.errors import EXIT_DONE, BadInput
from rl_lab.reporting import studies as stored
from rl_lab.search import studies


def export(request: Request) -> int:
    """Write the best trial of `study.json` as a file of tuned settings.

    Raises:
        BadInput: There is no such study, or the file is there already.
        Failed: No trial has a value.
    """
    study = stored.load(request.folder)
    studies.require_same(request.name, study, request.facts)
    trial = _best(study)
    plan = request.plan(trial["values"], 0).plan
    environment = paths.file_name(plan.environment.id)
    name = f"{plan.agent}-{request.folder.name.removeprefix(f'{plan.agent}-')}"
    folder = Path(str(request.settings["to"]))
    path = folder / "tuned" / environment / f"{name}.yaml"
    if path.exists():
        raise BadInput(f"{path} exists", "a folder without that file", "Move it, or change to=.")
    training = {
        # As YAML has them; a default of the same values would else look like another.
        k: list(v) if isinstance(v, tuple) else v
        for k, v in dataclasses.asdict(plan.training).items()
        if k != _OF_TRIALS
    }
    body = {
        "training": _changed(
            training, config.read_yaml(paths.conf_dir() / "train.yaml")["training"]
        ),
        "agent": {
            "settings": f"tuned for {plan.environment.id} (study {request.name})",
            **_changed(_own(plan.config["agent"]), _defaults(request)),
        },
    }
    words = ["rl-lab", "train", f"env={plan.environment.id}", f"agent={plan.agent}"]
    command = shlex.join([*words, f"tuned={environment}/{name}", "--config-dir", str(folder)])
    head = (
        f"# @package _global_\n# {plan.agent} on {plan.environment.id}: "
        f"trial {trial['number']} of {len(study['trials'])} of {request.name}, "
        f"{trial['objectives'][0]:.2f} on selection seeds.\n"
        f"# {command}\n"
    )
    files.write_text(path, head + config.to_yaml(body))
    print(f"wrote {path}\nnext: {command}")
    return EXIT_DONE


def _best(study: Mapping[str, Any]) -> Mapping[str, Any]:
    """The trial that was proved to win; the best one so far where the search is not over."""
    if study["winner"] is None:
        return tuning_record.best(study["trials"])
    return next(t for t in study["trials"] if t["number"] == study["winner"]["trial"])


# Of the checks, which are the search's and not the recipe's.
_OF_TRIALS = "selection_every_steps"


def _own(agent: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in agent.items() if k not in ("_target_", "settings")}


def _defaults(request: Request) -> dict[str, Any]:
    """The agent's own file, as it is without tuned settings."""
    agent = request.baseline.plan.agent
    words = ["tuned=none", f"agent={agent}"]
    return dict(config.compose("train", words, request.options)["agent"])


def _changed(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the usual, mappings by their members."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        before = usual.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := _changed(value, before):
                found[key] = inner
        elif value != before:
            found[key] = value
    return found

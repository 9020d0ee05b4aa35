"""Tuned settings: whether there are any for a pair, and what was changed on top of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rl_lab import paths
from rl_lab.cli import config
from rl_lab.cli.options import Options
from rl_lab.errors import BadInput


def require_file(words: Sequence[str], options: Options) -> None:
    """Refuse a word that names settings of which there is no file.

    Raises:
        BadInput: A word does.
    """
    for word in words:
        key, _, name = word.partition("=")
        if key != "tuned":
            continue
        if not _has_file(name, options):
            raise BadInput(
                f"unknown tuned settings {name!r}",
                "none, or ENVIRONMENT/AGENT of a file under conf/tuned",
                "Without tuned=, the file of the pair applies by itself where there is one.",
            )


def of_twin(words: Sequence[str], data: Mapping[str, Any], options: Options) -> str | None:
    """The tuned settings of the agent that this one is a twin of, as a word; None without any."""
    twin = data["agent"].get("twin")
    if twin is None or any(word.startswith("tuned=") for word in words):
        return None
    own, other = (f"{data['env']['id']}/{agent}" for agent in (data["agent"]["name"], twin))
    if _has_file(own, options) or not _has_file(other, options):
        return None
    return f"tuned={other}"


def told(
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


def _has_file(name: str, options: Options) -> bool:
    roots = [paths.conf_dir(), *([options.config_dir] if options.config_dir else [])]
    return any((root / "tuned" / f"{name}.yaml").is_file() for root in roots)

"""The words that choose an environment, read before the configuration is composed."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium

from rl_lab import environments
from rl_lab.cli import config
from rl_lab.cli.options import Options
from rl_lab.errors import BadInput, closest


def with_registered(words: Sequence[str], options: Options) -> list[str]:
    """Let `env=ID` name any registered environment, with or without a file of its own.

    Raises:
        BadInput: There is neither a file nor a registered environment of that name.
    """
    result: list[str] = []
    choice: list[str] = []
    for word in words:
        key, _, name = word.partition("=")
        if key == "env":
            # Of two the later holds; the id of an earlier one would beat its file.
            result = [w for w in result if w not in choice]
            choice = _choice(name, words, options)
            result += choice
        else:
            result.append(word)
    return result


def _choice(name: str, words: Sequence[str], options: Options) -> list[str]:
    """The words that choose an environment by its file, or by its id where it has none."""
    known = config.options_of("env", options.config_dir)
    if name in known:
        return [f"env={name}"]
    environments.register(imports_of(words))
    if name not in gymnasium.registry:
        raise BadInput(
            f"unknown environment {name!r}",
            "a registered Gymnasium id",
            closest(name, [*known, *gymnasium.registry])
            or "`rl-lab list env` shows some; env.imports=[PACKAGE] adds yours.",
        )
    return ["env=any", f"env.id={name}"]


def imports_of(words: Sequence[str]) -> list[str]:
    """Packages that words name with `env.imports=`."""
    for word in words:
        key, _, names = word.partition("=")
        if key == "env.imports":
            return [n.strip(" '\"") for n in names.strip("[] ").split(",") if n.strip(" '\"")]
    return []


def require_one_id(words: Sequence[str]) -> None:
    """Refuse an id beside the name: `env=` says it all.

    Raises:
        BadInput: A word gives one.
    """
    for word in words:
        if word.lstrip("+").startswith("env.id="):
            name = word.partition("=")[2]
            raise BadInput(word, "the environment by its id alone", f"Give env={name}.")

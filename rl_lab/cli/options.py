"""Words that mean the same for every verb."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rl_lab.errors import BadInput, closest

_FLAGS = {
    "--help": "help",
    "-h": "help",
    "--version": "version",
    "--debug": "debug",
    "-m": "multirun",
    "--multirun": "multirun",
    "--cfg": "show_config",
    "--watch": "watch",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What stands on the command line besides the verb and its overrides."""

    help: bool = False
    version: bool = False
    debug: bool = False
    multirun: bool = False
    show_config: bool = False
    watch: bool = False
    config_dir: Path | None = None


def split(words: Sequence[str]) -> tuple[Options, list[str]]:
    """Separate flags from the verb and its overrides.

    Raises:
        BadInput: A flag is unknown, or --config-dir names no folder.
    """
    flags: dict[str, bool] = {}
    rest: list[str] = []
    config_dir: Path | None = None
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word in _FLAGS:
            flags[_FLAGS[word]] = True
        elif word == "--config-dir" or word.startswith("--config-dir="):
            config_dir = _folder(word.partition("=")[2] or (queue.pop(0) if queue else ""))
        elif word.startswith("-"):
            known = [*_FLAGS, "--config-dir"]
            hint = closest(word, known)
            raise BadInput(f"unknown option {word!r}", f"one of {' '.join(known)}", hint)
        else:
            rest.append(word)
    return Options(config_dir=config_dir, **flags), rest


def _folder(word: str) -> Path:
    path = Path(word)
    if not word or not path.is_dir():
        raise BadInput(f"--config-dir {word!r}", "a folder with your configuration files")
    return path.resolve()

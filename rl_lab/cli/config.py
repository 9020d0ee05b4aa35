"""Hydra's only home: from words on the command line to plain, checked data."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rl_lab import paths
from rl_lab.cli.options import Options
from rl_lab.errors import BadInput, closest

_HYDRA_VERSION_BASE = "1.3"


def compose(verb: str, words: Sequence[str], options: Options) -> dict[str, Any]:
    """The resolved configuration of a verb as plain data.

    Raises:
        BadInput: A key, a value or a choice is wrong; says which one was probably meant.
    """
    return Composer(verb, options).compose(words)


class Composer:
    """Composes one verb many times, reading the files of the same choices once.

    Args:
        verb: Whose configuration.
        options: Say where the user's own files are.
    """

    def __init__(self, verb: str, options: Options) -> None:
        self._verb, self._options = verb, options
        self._chosen: dict[tuple[str, ...], DictConfig] = {}
        self._known: set[str] = set()

    def compose(self, words: Sequence[str]) -> dict[str, Any]:
        """The resolved configuration as plain data, as `compose` gives it.

        Raises:
            BadInput: As `compose`.
        """
        with _hydra():
            try:
                config = self._composed(words)
                if missing := sorted(OmegaConf.missing_keys(config)):
                    raise BadInput(
                        f"no value for {', '.join(missing)}", "a value", f"Give {missing[0]}=VALUE."
                    )
                plain = OmegaConf.to_container(config, resolve=True)
                if not self._known and set(map(str, config)) != _usual_keys(self._verb):
                    self._known = set(map(str, hydra_compose(self._verb)))
            except (HydraException, OmegaConfBaseException) as error:
                raise _explain(self._verb, words, error) from error
            except (YAMLError, OSError, ValueError) as error:
                raise _does_not_compose(error) from error
        assert isinstance(plain, dict)
        if self._known:
            _require_keys(self._verb, set(map(str, plain)), self._known)
        return {str(key): value for key, value in plain.items()}

    def _composed(self, words: Sequence[str]) -> DictConfig:
        """As Hydra composes it; what it made of the same choices before is not made again."""
        first = self._first_plain_value(words)
        overrides = [OverridesParser.create().parse_override(word) for word in words[first:]]
        values = [o for o in overrides if not self._is_choice(o)]
        choices = (*words[:first], *(o.input_line or "" for o in overrides if self._is_choice(o)))
        if choices not in self._chosen:
            self._chosen[choices] = self._hydra(choices)
        config = copy.deepcopy(self._chosen[choices])
        try:
            for override in values:
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        except OmegaConfBaseException:
            return self._hydra(words)  # says it better
        return config

    def _hydra(self, words: Sequence[str]) -> DictConfig:
        return hydra_compose(self._verb, [*words, *_search_path(self._options.config_dir)])

    def _first_plain_value(self, words: Sequence[str]) -> int:
        """Where the words begin that choose files or change values, but add or remove nothing."""
        for i in range(len(words), 0, -1):
            override = OverridesParser.create().parse_override(words[i - 1])
            if override.is_add() or override.is_force_add() or override.is_delete():
                return i
        return 0

    def _is_choice(self, override: Override) -> bool:
        """Whether the word chooses a file (or steers Hydra itself)."""
        key = override.key_or_group
        roots = [paths.conf_dir(), *filter(None, [self._options.config_dir])]
        chooses = any((root / key).is_dir() for root in roots)
        return chooses or override.package is not None or key.partition(".")[0] == "hydra"


@functools.cache
def _usual_keys(verb: str) -> set[str]:
    """The keys that a verb has as far as its file says; where they differ, Hydra is asked.

    A file of a group without a choice, or of an optional one, fills keys of others.
    """
    data = read_yaml(paths.conf_dir() / f"{verb}.yaml")
    chosen = [entry for entry in data.pop("defaults", []) if isinstance(entry, dict)]
    groups = {str(group) for entry in chosen for group in entry if entry[group]}
    return {*data, *(group for group in groups if not group.startswith("optional "))}


def _require_keys(verb: str, found: set[str], known: set[str]) -> None:
    """A word may fill a verb's keys, not add or remove some."""
    for key in sorted(found ^ known):
        what = "unknown key" if key in found else "removed key"
        raise BadInput(f"{what} '{key}'", f"the keys of rl-lab {verb}", closest(key, known - {key}))


def to_yaml(data: Mapping[str, Any]) -> str:
    """Plain data as YAML text."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(data)))


def read_yaml(path: Path) -> Any:
    """A YAML file as plain data; nothing in it is executed or interpolated.

    Raises:
        BadInput: It is not YAML.
    """
    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {' '.join(str(error).split())[:200]}", "a YAML file") from error


def expand(words: Sequence[str], multirun: bool) -> list[list[str]]:
    """Every combination of a sweep's values; one list of words where nothing is swept.

    Raises:
        BadInput: A word is no override, or values are swept without -m.
    """
    choices: list[list[str]] = []
    for word in words:
        readable, override = _parse(word)
        if not override.is_sweep_override():
            choices.append([readable])
            continue
        if not multirun:
            raise BadInput(
                f"{word!r} has several values",
                "one value",
                "`rl-lab train -m` runs every combination; [A,B] is a list.",
            )
        key = override.get_key_element()
        choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
    return [list(combination) for combination in itertools.product(*choices)]


def _parse(word: str) -> tuple[str, Override]:
    """A word as Hydra reads it; a value with characters of its grammar is taken as plain text."""
    key, equals, value = word.partition("=")
    # A bracket or quote that opens is meant as grammar: an error in there must not become text.
    tries = [word] if not equals or value[:1] in "[{'\"" else [word, f"{key}={quoted(value)}"]
    for text in tries:
        with contextlib.suppress(HydraException):
            return text, OverridesParser.create().parse_override(text)
    raise BadInput(
        f"{word!r} cannot be read",
        "key=value",
        "Brackets and quotes come in pairs; inside brackets, quote what has spaces: ['A B'].",
    )


def options_of(group: str, config_dir: Path | None) -> list[str]:
    """Names of a group's YAML files, the user's folder included."""
    folders = [paths.conf_dir(), *([config_dir] if config_dir else [])]
    return sorted({p.stem for folder in folders for p in (folder / group).glob("*.yaml")})


@contextlib.contextmanager
def _hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(
        str(paths.conf_dir()), version_base=_HYDRA_VERSION_BASE, job_name="rl-lab"
    ):
        yield


def _search_path(config_dir: Path | None) -> list[str]:
    """The user's folder as Hydra's own override for it."""
    return [f"hydra.searchpath=[{quoted(f'file://{config_dir}')}]"] if config_dir else []


def quoted(text: str) -> str:
    """Text as a value that Hydra takes as it stands."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _explain(verb: str, words: Sequence[str], error: Exception) -> BadInput:
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing_choice(error)
    text = str(error)
    for word in words:
        key: str = word.partition("=")[0].lstrip("+~")
        known = _keys(verb)
        if f"'{key}'" in text and key not in known:
            hint = closest(key, known) or f"`rl-lab {verb} --cfg` shows all keys."
            return BadInput(f"unknown key '{key}'", f"a key of rl-lab {verb}", hint)
    return _does_not_compose(error)


def _does_not_compose(error: Exception) -> BadInput:
    cause = f"{error} {error.__cause__ or ''}"
    first = " ".join(cause.split())[:300]
    return BadInput(f"the configuration does not compose: {first}", "valid files and overrides")


def _missing_choice(error: MissingConfigException) -> BadInput:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    known = options_of(group, None) or [str(o) for o in error.options or []]
    return BadInput(
        f"unknown {group or 'configuration'} {name!r}",
        f"one of {', '.join(known)}" if known else "a configuration file",
        closest(name, known),
    )


def _keys(verb: str) -> list[str]:
    return list(_flat_keys(hydra_compose(verb)))


def _flat_keys(config: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(config, DictConfig):
        for key in config:
            name = f"{prefix}{key!s}"
            yield name
            yield from _flat_keys(config._get_node(key), f"{name}.")

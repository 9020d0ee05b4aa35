"""A stored run's configuration as words of the command line: `rl-lab train from=RUN`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import paths, runs
from rl_lab.cli import config, environment_choice, planning
from rl_lab.cli.options import Options
from rl_lab.errors import BadInput

_FROM = "from="
# Each is chosen as a whole; a word that chooses another leaves the stored one out.
_SECTIONS = ("env", "agent", "training", "checkpoint", "callback", "monitoring", "logger")
# Mappings of constructor arguments, where a key that is missing means the constructor's own value.
_ARGUMENTS = ("env.kwargs", "agent.")
_PLAIN = ("seed", "threads", "answer_within_s", "snapshots")
# Hydra lets single values win over files, wherever they stand: these would change nothing.
_BEATEN = ("experiment", "debug", "tuned")


def expanded(words: Sequence[str], options: Options) -> list[str]:
    """The words with `from=RUN` replaced by what that run's configuration says.

    The configuration is read as data: every value goes through the checks of a typed word. Where
    runs are kept and launched is this command's affair.

    Raises:
        BadInput: The folder is no run, or its configuration cannot be said in words.
    """
    given = [word for word in words if word.startswith(_FROM)]
    if not given:
        return list(words)
    if len(given) > 1:
        raise BadInput(" ".join(given), "one run", "`rl-lab train -m` sweeps values, not runs.")
    own = [word for word in words if not word.startswith(_FROM)]
    chosen = {word.partition("=")[0] for word in own}
    if beaten := sorted(chosen & set(_BEATEN)):
        raise BadInput(
            f"{given[0]} with {beaten[0]}=", "single values", "The run says all that a file would."
        )
    run = paths.one(given[0].removeprefix(_FROM))
    card, data = runs.read(run), _read(run / paths.RUN_CONFIG)
    stored = _words(data, chosen, options)
    if not chosen & {"env", "agent", "training", "callback"}:
        _warn_of_other_defaults(stored, str(card.get("recipe_hash")), options)
    return [*stored, *own]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = config.read_yaml(path)
        if isinstance(data, Mapping) and isinstance(data["env"]["id"], str):
            _ = str(data["agent"]["name"]), data["agent"]["_target_"]
            return data
    except (OSError, BadInput, KeyError, TypeError):
        pass
    raise BadInput(f"{path} is damaged", "a run's configuration", "Take another run of the recipe.")


def _words(data: Mapping[str, Any], chosen: set[str], options: Options) -> list[str]:
    choices = ["tuned=none"]
    if "env" not in chosen:
        # First its packages: they register its id.
        imports = data["env"].get("imports") or []
        choices = [f"env.imports={text_of(imports)}", f"env={_file_of(data['env'], options)}"]
        choices.append("tuned=none")
    if "agent" not in chosen:
        choices.append(f"agent={data['agent']['name']}")
    names = data.get("callback") or {}
    if "callback" not in chosen and names:
        choices.append(f"callback=[{','.join(names)}]")
    known = config.compose("train", environment_choice.with_registered(choices, options), options)
    for where in ("agent", *(f"callback.{name}" for name in names)):
        if where.partition(".")[0] not in chosen:
            _require_same_target(where, data, known)
    words = list(choices)
    for key in (*_PLAIN, *(s for s in _SECTIONS if s not in chosen)):
        if key in data:
            words += _changes(key, data[key], known.get(key))
    return words


def _file_of(env: Mapping[str, Any], options: Options) -> str:
    name = str(env.get("name") or env["id"])
    return name if name in config.options_of("env", options.config_dir) else str(env["id"])


def _require_same_target(where: str, data: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    section, _, name = where.partition(".")
    stored, own = (d[section][name] if name else d[section] for d in (data, known))
    if stored.get("_target_") != own.get("_target_"):
        raise BadInput(
            f"the run's {where} is made by {stored.get('_target_')!r}",
            f"what conf/{section} names, {own.get('_target_')!r}",
            "Give --config-dir with the configuration that it was trained with.",
        )


def _changes(key: str, stored: Any, known: Any) -> Iterator[str]:
    """Words for what differs from where nothing is said."""
    if key in ("agent.settings", "env.id", "env.imports") or stored == known:
        return
    if isinstance(stored, Mapping) and isinstance(known, Mapping):
        if key.startswith(_ARGUMENTS) and known.keys() - stored.keys():
            # Hydra merges mappings, and takes no key away whose value is null.
            yield f"{key}=null"
        else:
            for name, value in stored.items():
                yield from _changes(f"{key}.{name}", value, known.get(name))
            return
    yield f"{key}={text_of(stored)}"


def text_of(value: Any) -> str:
    """A value of plain data as a word of the command line says it.

    Raises:
        BadInput: It is text that would be looked up instead of taken as it stands.
    """
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{text_of(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text_of, value)) + "]"
    if isinstance(value, str):
        if "${" in value:
            raise BadInput(f"the run's configuration says {value!r}", "plain values")
        return config.quoted(value)
    return repr(value) if isinstance(value, float) else json.dumps(value)


def _warn_of_other_defaults(words: Sequence[str], code: str, options: Options) -> None:
    here = planning.plan(words, options).plan.recipe_hash
    if here != code:
        line = f"the run's recipe {code} is {here} here: what it does not say is said otherwise now"
        print(f"rl-lab: warning: {line}", file=sys.stderr)

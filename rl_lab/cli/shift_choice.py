"""The shifts that a word names, read from the files that declare them; what an environment adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium

from rl_lab import paths, shifts
from rl_lab.cli import config
from rl_lab.cli.options import Options
from rl_lab.errors import BadInput, closest
from rl_lab.shifts import Shift

HEADLINE = "headline"
TERMINATIONS = ("goal", "failure", "either", "never")


def declared(given: Any, environment: str, options: Options, key: str) -> tuple[Shift, ...]:
    """The shifts that a word names: `none`, `headline`, a name, or a list of names.

    Args:
        given: The word's value.
        environment: The Gymnasium id.
        options: Where else there are files.
        key: The word's key, for messages.

    Raises:
        BadInput: There is no such file, it is none of a shift, or it is for another environment.
    """
    names = [str(name) for name in (given if isinstance(given, list) else [given])]
    if names == [HEADLINE]:
        names = headline(environment, options)
    if names in ([], [shifts.NO_SHIFT], ["None"]):
        return ()
    found = tuple(_read(name, environment, options, key) for name in names)
    labels = [shift.name for shift in found]
    if len(set(labels)) < len(labels):
        raise BadInput(f"{key}={given}", "each shift once", "Leave one out.")
    return found


def headline(environment: str, options: Options) -> list[str]:
    """The shifts that an environment's robustness is told by: both sides of one parameter."""
    named = configured(environment, options).get("headline_shift")
    return [str(name) for name in (named if isinstance(named, list) else [named]) if name]


def termination(environment: str, options: Options) -> str | None:
    """What an end before the limit means in an environment; None where it is not known.

    Raises:
        BadInput: The configuration names something else.
    """
    named = configured(environment, options).get("termination")
    if named not in (None, *TERMINATIONS):
        raise BadInput(
            f"termination={named} of {environment}",
            f"one of {', '.join(TERMINATIONS)}, or null",
            closest(str(named), TERMINATIONS),
        )
    return named


def _read(name: str, environment: str, options: Options, key: str) -> Shift:
    folder, _, stem = name.rpartition("/")
    roots = [root for root in (options.config_dir, paths.conf_dir()) if root]
    shared = _shared(roots)
    places = [folder] if folder else [environment, *shared]
    for place in places:
        for root in roots:
            path = root / "shift" / place / f"{stem}.yaml"
            if path.is_file():
                return _of_file(path, environment)
    known = [
        f"{place}/{path.stem}"
        for place in {*places, environment, *shared}
        for root in roots
        for path in (root / "shift" / place).glob("*.yaml")
    ]
    # A bare name is compared with bare names.
    words = known if folder else [word.rpartition("/")[2] for word in known]
    raise BadInput(
        f"unknown shift {name!r} in {key}=",
        "none, headline, or a file under conf/shift",
        closest(name, words) or f"`rl-lab list shift/{environment}` and shift/any show them.",
    )


def _shared(roots: Sequence[Path]) -> list[str]:
    """Folders of shifts for more than one environment, the one for all of them first.

    There a shift named without a folder is looked for, after its environment's own.
    """
    found = {place.name for root in roots for place in (root / "shift").glob("*/")}
    others = found - set(gymnasium.registry) - {shifts.ANY_ENVIRONMENT}
    return [shifts.ANY_ENVIRONMENT, *sorted(others)]


def _of_file(path: Path, environment: str) -> Shift:
    data = config.read_yaml(path)
    if not isinstance(data, Mapping):
        raise BadInput(f"{path} declares no shift", "a mapping; see docs/shifts.md")
    shift = shifts.from_file(data)
    shifts.require_id(environment, shift)
    return shift


def configured(environment: str, options: Options) -> dict[str, Any]:
    """What the configuration says of an environment; empty where it says nothing."""
    for root in (paths.conf_dir(), options.config_dir):
        path = root / "env" / f"{environment}.yaml" if root else None
        if path and path.is_file():
            return dict(config.read_yaml(path))
    return {}

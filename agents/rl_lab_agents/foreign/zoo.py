"""A run folder of the RL Zoo: which of its files say what."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_lab.errors import BadInput
from rl_lab_agents.foreign import texts
from rl_lab_agents.foreign.texts import short

_MARKS = ("config.yml", "args.yml", "vecnormalize.pkl")
_ALGORITHMS = {"ppo_lstm": "recurrent_ppo", "ppo_mask": "maskable_ppo"}
_PLAIN = (bool, int, float, type(None))
_FILES = {"final": "{name}.zip", "best": "best_model.zip"}


@dataclasses.dataclass(frozen=True)
class ZooRun:
    """What a Zoo folder says about a training.

    Attributes:
        model: The policy's zip.
        environment: The id that it was trained in.
        algorithm: Short name; None where the folder does not say.
        env_kwargs: Arguments of the environment's constructor: numbers and booleans.
        withheld: The others, as text: one could name a file or a class that is then opened.
        wrappers: Names of wrappers around the environment.
        normalizer: The statistics, there or not; None where observations were not normalised.
        configured: Whether the folder says so, or merely holds no statistics.
        frame_stack: Observations stacked.
        policy_keywords: Of the policy; classes are text.
    """

    model: Path
    environment: str
    algorithm: str | None
    env_kwargs: Mapping[str, Any]
    withheld: Mapping[str, str]
    wrappers: tuple[str, ...]
    normalizer: Path | None
    configured: bool
    frame_stack: int
    policy_keywords: Mapping[str, Any]


def read(folder: Path, which: str) -> ZooRun:
    """Read a run folder such as `logs/ppo/CartPole-v1_1`.

    Args:
        folder: The folder.
        which: `final` or `best`; where only the other one is there, that.

    Raises:
        BadInput: It is no such folder, or says something that cannot be followed.
    """
    inner = _inner(folder)
    config, arguments = (_yaml(inner / name) for name in ("config.yml", "args.yml"))
    name = inner.name
    if config.get("vec_env_wrapper"):
        raise BadInput(
            f"{folder} stood behind vec_env_wrapper {short(config['vec_env_wrapper'])}",
            "VecNormalize and frame stacking only",
            "Such a wrapper cannot be frozen.",
        )
    algorithm = str(arguments.get("algo") or "")
    kwargs = _env_kwargs(config, arguments)
    return ZooRun(
        model=_model(folder, name, which),
        environment=short(arguments.get("env") or name, 200),
        algorithm=_ALGORITHMS.get(algorithm, algorithm) or None,
        env_kwargs={k: v for k, v in kwargs.items() if isinstance(v, _PLAIN)},
        withheld={k: short(v) for k, v in kwargs.items() if not isinstance(v, _PLAIN)},
        wrappers=_wrappers(config.get("env_wrapper")),
        normalizer=_normalizer(config, inner),
        configured=bool(config),
        frame_stack=_frame_stack(config.get("frame_stack")),
        policy_keywords=_keywords(config.get("policy_kwargs")),
    )


def _inner(folder: Path) -> Path:
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder", "a run folder of the RL Zoo")
    found = [
        p for p in sorted(folder.iterdir()) if p.is_dir() and any((p / m).is_file() for m in _MARKS)
    ]
    if len(found) != 1:
        raise BadInput(
            f"{folder} has {len(found)} folders with {' or '.join(_MARKS)}",
            "exactly one, named as the environment: a run folder of the RL Zoo, such as "
            "logs/ppo/CartPole-v1_1",
            "For a zip alone: zip=FILE env=ID.",
        )
    return found[0]


def _yaml(path: Path) -> dict[str, Any]:
    return texts.read_yaml(path) if path.is_file() else {}


def _model(folder: Path, name: str, which: str) -> Path:
    order = [which, *(w for w in _FILES if w != which)]
    for word in order:
        path = folder / _FILES[word].format(name=name)
        if path.is_file():
            return path
    raise BadInput(f"{folder} holds no policy", f"{name}.zip or best_model.zip")


def _env_kwargs(config: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for source in (config.get("env_kwargs"), arguments.get("env_kwargs")):
        given = texts.expression(source) if isinstance(source, str) and source else source
        if not given:
            continue
        if not isinstance(given, Mapping):
            given = {"env_kwargs": given}
        found |= {str(key): value for key, value in given.items()}
    found.pop("render_mode", None)  # how somebody watched it
    return found


def _wrappers(given: Any) -> tuple[str, ...]:
    """Names only: `a.B`, or `{a.B: {argument: value}}`, or a list of these."""
    items = given if isinstance(given, list) else [given] if given else []
    return tuple(
        short(name, 200) for item in items for name in (item if isinstance(item, dict) else [item])
    )


def _normalizer(config: Mapping[str, Any], inner: Path) -> Path | None:
    path = inner / "vecnormalize.pkl"
    if not config:
        return path if path.is_file() else None
    given = config.get("normalize", False)
    if isinstance(given, str):
        # Text that is no data still means that something was normalised; the statistics tell what.
        with contextlib.suppress(BadInput):
            given = texts.expression(given)
    if isinstance(given, Mapping) and given.get("norm_obs") is False:
        return None
    if not given:
        return None
    return path


def _frame_stack(given: Any) -> int:
    return given if isinstance(given, int) and not isinstance(given, bool) and given > 0 else 1


def _keywords(given: Any) -> dict[str, Any]:
    if isinstance(given, str) and given:
        given = texts.expression(given)
    return {str(k): v for k, v in given.items()} if isinstance(given, Mapping) else {}

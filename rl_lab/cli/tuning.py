"""What `rl-lab tune` was asked for, checked before anything is trained."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_lab import files, paths
from rl_lab.cli import config, training_sections, typed
from rl_lab.cli.options import Options
from rl_lab.cli.planning import Planned, Planner
from rl_lab.errors import BadInput
from rl_lab.search import space as spaces
from rl_lab.search import trials

FRESH_SEED = 1_000  # of the first training after the search; the search itself begins at 0
_OBJECTIVES = (["reward"], ["reward", "latency"])
# The largest of each number; the fresh training seeds begin where those of trials end.
_BOUNDS = {
    "trials": 100_000,
    "seeds": FRESH_SEED,
    "checks": 1_000,
    "winner_seeds": 1_000,
    "episodes": 1_000,
}


@dataclasses.dataclass(frozen=True)
class Request:
    """A search, typed.

    Attributes:
        folder: Of the study and of its runs.
        name: Of the study.
        words: Of the training, without the searched values.
        baseline: The training as it is without the search.
        space: What is searched.
        settings: The command's own keys.
        facts: What a study must agree on.
        planner: Plans its trainings.
        options: Flags of the command.
    """

    folder: Path
    name: str
    words: tuple[str, ...]
    baseline: Planned
    space: spaces.Space
    settings: Mapping[str, Any]
    facts: Mapping[str, Any]
    planner: Planner
    options: Options

    @property
    def directions(self) -> list[str]:
        """One for each objective."""
        return ["maximize", "minimize"][: len(self.settings["objectives"])]

    def draw(self, trial: spaces.Trial) -> dict[str, Any]:
        """The values of a trial by key."""
        return self.space.draw(trial, self.configured)

    def configured(self, key: str) -> Any:
        """What the configuration says of a key that is not searched.

        Raises:
            BadInput: Nothing.
        """
        value: Any = self.baseline.plan.config
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise BadInput(f"the search space refers to {key!r}", "a key of rl-lab train")
            value = value[part]
        return value

    def plan(self, values: Mapping[str, Any], seed: int) -> Planned:
        """One run of a trial.

        Raises:
            BadInput: A value is refused.
        """
        return self.planner.plan([*self.words, *words_of(values), f"seed={seed}"])


def words_of(values: Mapping[str, Any]) -> list[str]:
    """Values as words of the command line."""
    return [f"{key}={_text(value)}" for key, value in values.items()]


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def request(words: Sequence[str], options: Options) -> Request:
    """Check a command's words.

    Raises:
        BadInput: Anything about them is wrong.
    """
    own, of_training = _split(words)
    settings = config.compose("tune", own, options)
    _check(settings)
    of_training = [*of_training, f"output={_output(settings)}"]
    planner = Planner(options)
    baseline = planner.plan([*of_training, "seed=0"])
    every = max(1, baseline.plan.training.steps // settings["checks"])
    of_training.append(f"training.selection_every_steps={every}")
    baseline = planner.plan([*of_training, "seed=0"])
    agent = baseline.plan.config["agent"]
    # A twin takes the hyperparameters of the agent that it is a faster form of.
    found = _space(settings["space"] or agent.get("twin") or agent["name"], options)
    objective = {key: settings[key] for key in ("objectives", "seeds", "aggregate", "checks")}
    facts = {
        "space": found.to_data(),
        "objective": objective,
        "words": [w for w in of_training if not w.startswith("output=")],
        # Equal words mean something else once a configuration file has changed.
        "recipe": baseline.plan.recipe_hash,
    }
    default = f"{baseline.plan.agent}-{files.canonical_hash(facts)}"
    folder = Path(str(settings["output"])) / "tune" / paths.file_name(baseline.plan.environment.id)
    name = str(settings["study"] or default)
    if paths.file_name(name) != name:
        raise BadInput(f"study={name}", "letters, digits, and - _ . , = +")
    folder = folder / name
    made = [w.replace(_PLACE, str(folder)) for w in of_training]
    return Request(
        folder=folder,
        name=f"{baseline.plan.environment.id}/{name}",
        words=tuple(made),
        baseline=planner.plan([*made, "seed=0"]),
        space=found,
        settings=settings,
        facts=json.loads(json.dumps(facts)),
        planner=planner,
        options=options,
    )


_PLACE = "STUDY_FOLDER"


def _output(settings: Mapping[str, Any]) -> str:
    typed.folder(settings["output"], "output")
    return _PLACE


def _split(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """The command's own words, and those of the training."""
    own = set(config.read_yaml(paths.conf_dir() / "tune.yaml")) - {"defaults"} | {"launcher"}
    parts: tuple[list[str], list[str]] = ([], [])
    for word in words:
        key = word.lstrip("+~").partition("=")[0].partition(".")[0]
        if key == "launcher" and ".options." in word:
            word = f"++{word.lstrip('+')}"
        parts[key not in own].append(word)
    return parts


def _check(settings: Mapping[str, Any]) -> None:
    for key, most in _BOUNDS.items():
        number = typed.positive_int(settings[key], key)
        if number > most:
            raise BadInput(f"{key}={number}", f"at most {most}")
    if settings["workers"] is not None:
        typed.positive_int(settings["workers"], "workers")
    typed.value(settings["seed"], int, "seed")
    if settings["aggregate"] not in trials.AGGREGATES:
        known = ", ".join(trials.AGGREGATES)
        raise BadInput(f"aggregate={settings['aggregate']}", f"one of {known}")
    if settings["objectives"] not in _OBJECTIVES:
        raise BadInput(f"objectives={settings['objectives']}", "[reward] or [reward,latency]")


def _space(name: str, options: Options) -> spaces.Space:
    for root in (options.config_dir, paths.conf_dir()):
        path = root / "search" / f"{name}.yaml" if root else None
        if path and path.is_file():
            return spaces.from_data(config.read_yaml(path), f"conf/search/{name}.yaml")
    raise BadInput(
        f"no search space {name!r}",
        f"one of {', '.join(config.options_of('search', options.config_dir))}",
        "Add conf/search/NAME.yaml to your --config-dir.",
    )


def require_accepted(request: Request) -> None:
    """Build the agent at both ends of every range, so that a study is not made of refusals.

    Raises:
        BadInput: Names the range and says why.
    """
    from rl_lab import seeding

    for parameter in request.space.parameters:
        if "." not in parameter.key or parameter.same_as or parameter.fields:
            continue
        for end in (0, -1):
            trial = _End(parameter.drawn_as, end)
            value = request.draw(trial)[parameter.key]
            try:
                planned = request.plan({parameter.key: value}, 0)
                make = training_sections.make_agent(planned.agent)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # each end is far from the others' defaults
                    make(planned.plan.make_env, planned.plan.training, seeding.training_seed(0))
            except BadInput as error:
                raise BadInput(
                    f"search space: {planned_words(parameter.key, value)} is refused: {error.came}",
                    error.expected,
                    error.do if "Did you mean" in error.do else f"Change {parameter.key}'s range.",
                ) from error


def planned_words(key: str, value: Any) -> str:
    """One value as a word, for messages."""
    return words_of({key: value})[0]


class _End:
    """Draws one end of one parameter's range, and the middle of the others."""

    def __init__(self, name: str, end: int) -> None:
        self._name, self._end = name, end

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any:
        return choices[self._end] if name == self._name else choices[0]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return (low, high)[self._end] if name == self._name else (low * high) ** 0.5 if log else low

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return (low, high)[self._end] if name == self._name else high

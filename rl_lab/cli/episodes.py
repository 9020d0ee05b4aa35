"""The episodes that `rl-lab replay` is asked for: recorded now, or read from a file."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rl_lab import frozen_policy, paths, records, replay, runs, scores_file, seeding
from rl_lab.cli import destinations, shift_choice, typed
from rl_lab.cli.destinations import Kind
from rl_lab.cli.options import Options
from rl_lab.errors import BadInput, Failed
from rl_lab.frozen_policy import FrozenPolicy, load_policy
from rl_lab.replay import Replay, Take
from rl_lab.reporting.stored import find_run
from rl_lab.shifts import Shift

_SOURCES = ("run", "policy", "evaluation", "file")


@dataclasses.dataclass(frozen=True)
class Named:
    """An episode, and what the viewer knows its actor by."""

    name: str
    episode: Replay


def source(data: Mapping[str, Any]) -> str:
    """Which of the sources is given.

    Raises:
        BadInput: None is, or several are.
    """
    given = [name for name in _SOURCES if data[name] is not None]
    if len(given) != 1:
        raise BadInput(
            f"{' and '.join(given) or 'nothing'} to replay",
            f"one of {', '.join(f'{name}=' for name in _SOURCES)}",
            "`rl-lab list` shows what is at hand.",
        )
    return given[0]


def episodes(
    data: Mapping[str, Any], options: Options, imports: tuple[str, ...], beside: bool = False
) -> Iterator[Named]:
    """The episodes in order.

    Args:
        data: The verb's configuration.
        options: Of the command line.
        imports: Packages that register environments.
        beside: Give each shifted episode's training context, too.

    Raises:
        BadInput: They cannot be found or recorded.
    """
    kind = source(data)
    given = data[kind]
    places = [paths.one(str(text)) for text in (given if isinstance(given, list) else [given])]
    if kind == "file":
        for place in places:
            episode = replay.load(place)
            _require_drawable(data, episode.environment, imports)
            yield Named(place.stem, episode)
    elif kind == "evaluation":
        yield picked(places[0], data, imports)
    else:
        yield from _recorded(places, kind, data, options, imports, beside)


def _recorded(
    places: list[Path],
    kind: str,
    data: Mapping[str, Any],
    options: Options,
    imports: tuple[str, ...],
    beside: bool,
) -> Iterator[Named]:
    seeds, steps, limit = _seeds(data), _steps(data), _limit(data)
    for place in places:
        if kind == "run":
            runs.require_complete(place)
    policies = [load_policy(place) for place in places]
    for policy in policies:
        _require_drawable(data, policy.card.environment, imports)
    names = _names(places, policies)
    lived: collections.Counter[str] = collections.Counter()
    for seed in seeds:
        for own, policy in zip(names, policies, strict=True):
            found = _shifts(data["shift"], policy, options)
            delta = typed.value(data["delta"], float, "delta")
            worlds_of: list[tuple[str, Shift | None, float]] = []
            if not found or beside:
                worlds_of.append((own, None, 0.0))
            worlds_of += [(f"{own}, {s.name} at {delta:g}", s, delta) for s in found]
            for name, shift, strength in worlds_of:
                left = None if steps is None else steps - lived[name]
                if left == 0:
                    continue
                episode = replay.record(policy, seed, limit, shift, strength, imports, left)
                lived[name] += episode.length
                yield Named(name, episode)


def _seeds(data: Mapping[str, Any]) -> list[int]:
    count = typed.value(data["episodes"], int, "episodes")
    typed.positive(count, "episodes")
    root = typed.value(data["seed"], int, "seed")
    return list(seeding.evaluation_seeds(root, count, keys=("seed", "episodes")))


def _steps(data: Mapping[str, Any]) -> int | None:
    steps: int | None = typed.value(data["steps"], int | None, "steps")
    if steps is not None:
        typed.positive(steps, "steps")
    return steps


def _limit(data: Mapping[str, Any]) -> int:
    limit: int = typed.value(data["step_limit"], int, "step_limit")
    typed.positive(limit, "step_limit")
    return limit


def _require_drawable(
    data: Mapping[str, Any], environment: Mapping[str, Any], imports: tuple[str, ...]
) -> None:
    """Refuse before the first step what could not be drawn after the last."""
    to = destinations.given(data)
    what = destinations.kind(to)
    if to is None or what in (Kind.PLAYER, Kind.RECORDING):
        return
    on = Path("text.txt") if what is Kind.TERMINAL else to
    replay.require_drawable(environment, on, imports)


def _names(places: list[Path], policies: list[FrozenPolicy]) -> list[str]:
    """Agents where they tell policies apart, with their seed or place where they do not."""
    for names in (
        [policy.card.agent for policy in policies],
        [f"{p.card.agent} seed {seeding.shown(p.card.training_seed)}" for p in policies],
    ):
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]


def _shifts(given: Any, policy: FrozenPolicy, options: Options) -> tuple[Shift, ...]:
    if given is None:
        return ()
    return shift_choice.declared(given, str(policy.card.environment["id"]), options, "shift")


def picked(folder: Path, data: Mapping[str, Any], imports: tuple[str, ...]) -> Named:
    """The episode of an evaluation that is asked for, lived again.

    Raises:
        BadInput: There is none such, or its policy is gone.
        Failed: It does not return what the evaluation recorded.
    """
    which = str(data["pick"] or "best")
    replay.require_known(which)
    scores = scores_file.read(folder / paths.SCORES)
    names = [c["name"] for c in scores["contestants"]]
    name = str(data["contestant"] or (names[0] if len(names) == 1 else ""))
    if name not in names:
        raise BadInput(
            f"contestant={given}" if (given := data["contestant"]) else "no contestant",
            f"one of {', '.join(names)}",
            "Give contestant=NAME.",
        )
    mine = [r for r in records.read(folder / paths.EPISODES) if r.contestant == name]
    chosen = replay.pick(mine, which)
    for stored in scores["contestants"][names.index(name)]["policies"]:
        place = find_run(folder, str(stored))
        if place is None:
            continue
        if frozen_policy.read_card(place).training_seed != chosen.training_seed:
            continue
        limit = int(scores["protocol"]["step_limit"])
        policy = load_policy(place)
        _require_drawable(data, policy.card.environment, imports)
        episode = replay.record(policy, chosen.evaluation_seed, limit, imports=imports)
        if episode.episode_return != chosen.episode_return:
            raise Failed(
                f"the episode returns {episode.episode_return:g}, not {chosen.episode_return:g}",
                "the policy and the environment of the evaluation",
                "Evaluate again: the policy, the environment or a library has changed.",
            )
        return Named(name, episode)
    raise BadInput(
        f"the policy of {name}, training seed {seeding.shown(chosen.training_seed)}, is gone",
        f"the folders that {folder / paths.SCORES} names",
        "Run this from the folder in which the evaluation was run.",
    )


def filmed(data: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The folder and the card of the run that a film is asked of.

    Raises:
        BadInput: There is not one run.
    """
    if source(data) != "run" or isinstance(data["run"], list):
        raise BadInput("a film without one run", "run=FOLDER", "`rl-lab list` shows them.")
    folder = paths.one(str(data["run"]))
    return folder, runs.read(folder)


def takes(data: Mapping[str, Any], to: Path, imports: tuple[str, ...]) -> list[Take]:
    """One episode by every snapshot that a run kept, and by its final policy.

    Raises:
        BadInput: No run is given, it kept no snapshots, or `to` cannot hold a film of them.
    """
    folder, card = filmed(data)
    snapshots = [load_policy(place) for place in paths.snapshots(folder)]
    if not snapshots:
        raise BadInput(
            f"{folder} kept no snapshots",
            "a run trained with snapshots=true and training.selection_every_steps above 0",
            "Train it anew under another seed, or replay its final policy: rl-lab replay run=.",
        )
    if destinations.kind(to) is not Kind.PLAYER:
        replay.require_filmable(snapshots[0].card.environment, to, imports)
    if card["status"] == runs.COMPLETE:
        final = load_policy(folder)
        snapshots += [final] if final.card.steps != snapshots[-1].card.steps else []
    (seed,) = _seeds({**data, "episodes": 1})
    most, limit = _steps(data), _limit(data)
    made = [replay.record(policy, seed, limit, imports=imports, most=most) for policy in snapshots]
    return [
        Take(episode, f"after {policy.card.steps:,} steps: return {episode.episode_return:g}")
        for policy, episode in zip(snapshots, made, strict=True)
    ]


def line(episode: Replay) -> str:
    """An episode in one line."""
    who = f"{episode.agent}, training seed {seeding.shown(episode.training_seed)}"
    where = f", {episode.shift['name']} at {episode.delta:g}" if episode.shift else ""
    return (
        f"{episode.environment['id']}{where}, {who}, episode seed {episode.seed}: "
        f"return {episode.episode_return:g}, {episode.length} steps, {episode.ended}"
    )

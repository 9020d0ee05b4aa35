"""Warnings, failures and provenance."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from rl_lab import paths, seeding
from rl_lab.comparison.wording import INDICATIVE_SEEDS
from rl_lab.reporting import text
from rl_lab.reporting.stored import Data, Evaluation, block, reason

_TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class Fact:
    """A term and what it is here; `missing` says why it is nothing."""

    term: str
    text: str = ""
    missing: str = ""


def chips(evaluation: Evaluation) -> list[str]:
    """What the verdict rests on, in a few words each."""
    contestants, protocol = evaluation.contestants, block(evaluation.scores, "protocol")
    scored = [block(c, "reward") for c in contestants if block(c, "reward")]
    seeds = sorted({len(block(r, "per_seed")) for r in scored})
    words = [_counted(len(contestants), "contestant")]
    if seeds:
        span = f"{seeds[0]} to {seeds[-1]} training seeds each"
        words.append(f"{_counted(seeds[0], 'training seed')} each" if len(seeds) == 1 else span)
    if protocol.get("episodes") is not None:
        words.append(f"{_counted(protocol['episodes'], 'episode')} per seed, the same for all")
    if any(r.get("claim") == "policy" for r in scored):
        words.append("a claim about checkpoints, not algorithms")
    if any(r.get("indicative") for r in scored):
        words.append(f"indicative: fewer than {INDICATIVE_SEEDS} training seeds")
    return words


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def labels(evaluation: Evaluation) -> list[tuple[str, list[str]]]:
    """Contestant and the lines that state its numbers with their method and scope."""
    found = []
    for contestant in evaluation.contestants:
        parts = [
            block(block(contestant, "reward"), "mean"),
            block(block(contestant, "to_best"), "delta"),
            block(block(contestant, "robustness"), "auc"),
        ]
        name = str(contestant.get("name"))
        found.append((name, [str(part["label"]) for part in parts if part.get("label")]))
    return [(name, lines) for name, lines in found if lines]


def warnings(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Contestant ("" for all) and what a careful reader should know."""
    found = []
    for why in (evaluation.speed_reason, evaluation.episodes_reason):
        if why:
            found.append(("", f"{why}: what depends on it is missing here"))
    if not evaluation.scores.get("anchors"):
        found.append(("", "no anchors are known for this environment: there are no scores"))
    elif why := str(evaluation.scores.get("scale_reason", "")):
        found.append(("", f"{why}: there are no scores"))
    for contestant in evaluation.contestants:
        name = str(contestant.get("name"))
        found += [(name, words) for words in _about(evaluation, contestant)]
    return [*found, *contradictions(evaluation)]


def _about(evaluation: Evaluation, contestant: Data) -> Iterator[str]:
    reward = block(contestant, "reward")
    declared = contestant.get("training_seeds") or []
    used = len(block(reward, "per_seed"))
    if not reward:
        yield f"could not be scored: {reason(contestant, 'reward')}"
    elif used < len(declared):
        yield f"only {used} of {len(declared)} training seeds have all their episodes"
    if used == 1:
        yield "one training seed: the numbers are about this checkpoint, not about its algorithm"
    elif reward.get("indicative"):
        yield f"{used} training seeds: its interval is indicative"
    if seeding.UNKNOWN in declared:
        yield "its training seed is not known"
    missed = evaluation.times(str(contestant.get("name"))).get("deadline_miss_rate")
    if missed:
        yield f"misses the deadline of one control period in {missed:.2%} of its decisions"


def contradictions(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Means in `scores.json` that the rows of `episodes.csv` do not give."""
    returns: dict[tuple[str, str], list[float]] = {}
    for row in evaluation.episodes or []:
        if row.shift == "none":
            key = (row.contestant, str(row.training_seed))
            returns.setdefault(key, []).append(row.episode_return)
    found = []
    for contestant in evaluation.contestants:
        name = str(contestant.get("name"))
        for seed, mean in block(block(contestant, "reward"), "per_seed").items():
            own = returns.get((name, str(seed)))
            if own is None or mean is None:
                continue
            recomputed = statistics.fmean(own)
            if abs(recomputed - mean) > _TOLERANCE * max(1.0, abs(mean)):
                words = f"{paths.SCORES} says {mean:.6g}, {paths.EPISODES} gives {recomputed:.6g}"
                found.append((name, f"mean return of seed {seed}: {words}"))
    return found


def failures(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Contestant, training seed and message of what went wrong."""
    return [
        (
            str(failure.get("contestant")),
            seeding.shown(failure.get("training_seed")),
            str(failure.get("message")),
        )
        for failure in evaluation.scores.get("failures") or []
    ]


def protocol(evaluation: Evaluation) -> list[Fact]:
    """How the numbers came about."""
    data, anchors = block(evaluation.scores, "protocol"), block(evaluation.scores, "anchors")
    first, last = (data.get("evaluation_seeds") or [None, None])[:2]
    seeds = None if first is None else f"{first} to {last}, from the root seed {data.get('seed')}"
    scale = [
        f"{name} {anchors[name]:g}"
        for name in ("random", "solved", "ceiling")
        if _has(anchors, name)
    ]
    used = block(evaluation.scores, "scale")
    if used.get("label"):
        scale.append(f"1 is {used['solved']:g}, {used['label']}")
    period = anchors.get("control_period_s")
    acts = {True: "deterministic", False: "drawn at random"}.get(data.get("deterministic"))  # type: ignore[arg-type]
    return [
        _fact("environment", evaluation.scores.get("environment")),
        _fact("scale", ", ".join(scale), "no anchors are known for this environment"),
        _fact(
            "control period",
            None if period is None else text.latency(period * 1e6),
            "time has no unit here",
        ),
        _fact("episodes per training seed", data.get("episodes")),
        _fact("evaluation seeds", seeds),
        _fact("actions", acts),
        *_shift(data),
    ]


def _has(data: Data, key: str) -> bool:
    return data.get(key) is not None


def _shift(data: Data) -> list[Fact]:
    none = "no shift was evaluated"
    names = [str(shift["name"]) for shift in data.get("shifts") or [] if shift.get("name")]
    if not names:
        return [Fact("shift", missing=none)]
    deltas = ", ".join(f"{delta:g}" for delta in data.get("deltas") or [])
    return [
        _fact("shift" if len(names) == 1 else "shifts", ", ".join(names)),
        _fact("its magnitudes", deltas),
        _fact("episodes per magnitude", data.get("shift_episodes")),
    ]


def _fact(term: str, value: Any, why: str = "not stored in scores.json") -> Fact:
    return Fact(term, missing=why) if value in (None, "") else Fact(term, str(value))


def machine(evaluation: Evaluation) -> list[Fact]:
    """Where decision times were measured."""
    if evaluation.speed is None:
        return [Fact("measured on", missing=evaluation.speed_reason)]
    data, why = block(evaluation.speed, "machine"), "not stored in speed.json"
    keys = ("processor", "system", "cores")
    threads = _fact("threads", evaluation.speed.get("threads"), why)
    return [*(_fact(key, data.get(key), why) for key in keys), threads]


def versions(evaluation: Evaluation) -> list[Fact]:
    """Versions of what can move a number."""
    found = block(evaluation.scores, "versions")
    if not found:
        return [Fact("versions", missing="not stored in scores.json")]
    return [_fact(package, version) for package, version in found.items()]


def recipes(evaluation: Evaluation) -> list[tuple[str, str, Sequence[str], Sequence[str]]]:
    """Contestant, recipe hash with its training seeds, its run folders, commands that train it."""
    found: list[tuple[str, str, Sequence[str], Sequence[str]]] = []
    for contestant in evaluation.contestants:
        seeds = ", ".join(map(seeding.shown, contestant.get("training_seeds") or [])) or "not known"
        recipe = contestant.get("recipe_hash") or "not stored"
        runs = [str(run) for run in contestant.get("runs") or []]
        commands = [str(command) for command in contestant.get("commands") or []]
        words = f"{recipe}, training seeds {seeds}"
        found.append((str(contestant.get("name")), words, runs, commands))
    return found

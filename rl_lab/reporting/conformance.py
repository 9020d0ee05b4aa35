"""The conformance box: which rules of a fair comparison this evaluation keeps, checked, not told.

After the rules of MLPerf Inference: seeds announced and shared, decisions timed apart from
episodes and often enough, the machine described, everything replicable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from rl_lab import seeding
from rl_lab.comparison.scoring import NOMINAL
from rl_lab.comparison.wording import INDICATIVE_SEEDS
from rl_lab.reporting import facts
from rl_lab.reporting.stored import Evaluation, block
from rl_lab.statistics.intervals import counted

MET, NOT_MET, UNKNOWN = "met", "not met", "not known"
_ENOUGH_EPISODES, _ENOUGH_CALLS, _ENOUGH_PROCESSES = 50, 10_000, 3
_BUSY = 0.5  # load average per core


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        text: What it asks for.
        state: `met`, `not met` or `not known`.
        found: What was found.
        warning: What to tell a reader of the numbers where it is not met; "" where others do.
    """

    text: str
    state: str
    found: str
    warning: str = ""


def rules(evaluation: Evaluation) -> list[Rule]:
    """All rules, in the order of the report."""
    return [
        *_episodes(evaluation),
        _training_seeds(evaluation),
        _nothing_failed(evaluation),
        *_speed(evaluation),
        _replays(evaluation),
        _repeatable(evaluation),
    ]


def warnings(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Rules not met that nothing else warns of, in the form of `facts.warnings`."""
    broken = [rule for rule in rules(evaluation) if rule.state == NOT_MET]
    return [("", rule.warning) for rule in broken if rule.warning]


def _state(met: bool) -> str:
    return MET if met else NOT_MET


def _episodes(evaluation: Evaluation) -> Iterator[Rule]:
    shared = "all contestants play the same evaluation seeds"
    apart = "no evaluation seed is one of training or of choosing a snapshot"
    enough = f"{_ENOUGH_EPISODES} episodes or more per training seed"
    agree = "the means are those of the episode records"
    seeds: dict[tuple[str, int], list[int]] = {}
    for row in evaluation.episodes or []:
        if row.shift == NOMINAL[0]:
            seeds.setdefault((row.contestant, row.training_seed), []).append(row.evaluation_seed)
    if not seeds:
        why = evaluation.episodes_reason or "no episodes in the training context"
        yield from (Rule(text, UNKNOWN, why) for text in (shared, apart, enough, agree))
        return
    lists = {tuple(sorted(one)) for one in seeds.values()}
    found = "one list for all" if len(lists) == 1 else f"{len(lists)} different lists"
    yield Rule(shared, _state(len(lists) == 1), found)
    kept = seeding.EVALUATION_SEEDS
    ends = min(min(one) for one in lists), max(max(one) for one in lists)
    found = f"{ends[0]} to {ends[1]}, where {kept.start} to {kept.stop - 1} are kept for evaluation"
    yield Rule(apart, _state(all(end in kept for end in ends)), found)
    fewest = min(len(one) for one in seeds.values())
    few = f"{counted(fewest, 'episode')} per training seed, fewer than {_ENOUGH_EPISODES}"
    yield Rule(enough, _state(fewest >= _ENOUGH_EPISODES), f"{fewest} at least", few)
    wrong = facts.contradictions(evaluation)
    found = f"{len(wrong)} differ" if wrong else "computed anew from episodes.csv"
    yield Rule(agree, _state(not wrong), found)


def _training_seeds(evaluation: Evaluation) -> Rule:
    text = f"{INDICATIVE_SEEDS} training seeds or more per contestant"
    counts = [len(block(block(c, "reward"), "per_seed")) for c in evaluation.contestants]
    if not counts:
        return Rule(text, UNKNOWN, "the evaluation has no contestants")
    return Rule(text, _state(min(counts) >= INDICATIVE_SEEDS), f"{min(counts)} at least")


def _nothing_failed(evaluation: Evaluation) -> Rule:
    failed = len(evaluation.scores.get("failures") or [])
    return Rule("nothing failed", _state(not failed), f"{failed} failures" if failed else "")


def _speed(evaluation: Evaluation) -> Iterator[Rule]:
    timed = f"{_ENOUGH_CALLS:,} decisions or more timed per contestant, in {_ENOUGH_PROCESSES}"
    timed += " fresh processes or more"
    quiet = f"the machine was quiet: a load below {_BUSY:g} per core before timing"
    if evaluation.speed is None:
        yield from (Rule(text, UNKNOWN, evaluation.speed_reason) for text in (timed, quiet))
        return
    calls = [evaluation.times(str(c.get("name"))).get("calls") for c in evaluation.contestants]
    repeats = block(evaluation.speed, "settings").get("repeats")
    if repeats is None or not calls or None in calls:
        yield Rule(timed, UNKNOWN, "not stored in speed.json")
    else:
        fewest = min(call for call in calls if call is not None)
        met = fewest >= _ENOUGH_CALLS and repeats >= _ENOUGH_PROCESSES
        yield Rule(timed, _state(met), f"{fewest:,} decisions at least, {repeats} processes")
    machine = block(evaluation.speed, "machine")
    load, cores = (machine.get("load_average_before") or [None])[0], machine.get("cores")
    if load is None or not cores:
        yield Rule(quiet, UNKNOWN, "the load is not stored in speed.json")
    else:
        found = f"{load:g} on {counted(cores, 'core')}"
        busy = f"the machine was busy before decisions were timed, with a load of {found}"
        yield Rule(
            quiet, _state(load / cores < _BUSY), found, f"{busy}: these times may be too long"
        )


def _replays(evaluation: Evaluation) -> Rule:
    text = "the episodes shown below were lived again, bit by bit the same"
    clips = block(evaluation.replays or {}, "clips").values()
    if not clips:
        return Rule(text, UNKNOWN, evaluation.replays_reason or "no episode was kept as pictures")
    same = [str(clip.get("verdict")).startswith("bit-identical") for clip in clips]
    return Rule(text, _state(all(same)), f"{sum(same)} of {len(same)}")


def _repeatable(evaluation: Evaluation) -> Rule:
    text = "command, versions and recipes are stored"
    scores = evaluation.scores
    lacking = [key for key in ("command", "versions") if not scores.get(key)]
    lacking += [
        f"recipe of {c.get('name')}" for c in evaluation.contestants if not c.get("recipe_hash")
    ]
    return Rule(text, _state(not lacking), f"missing: {', '.join(lacking)}" if lacking else "")

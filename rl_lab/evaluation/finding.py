"""Where the frozen policies of an evaluation lie."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from pathlib import Path

from rl_lab import garbage, paths, runs
from rl_lab.errors import BadInput
from rl_lab.evaluation.plan import Failure


@garbage.uncollected()
def find_policies(places: Iterable[Path], which: str = "final") -> tuple[list[Path], list[Failure]]:
    """Frozen policies at the given places: policies, runs, or folders of runs.

    Args:
        places: Where to look.
        which: Of each run, the `final` policy or the `best` on its selection seeds.

    Returns:
        The policies' folders, and the runs that are not complete.

    Raises:
        BadInput: A place does not exist or holds nothing, is itself a run that is incomplete, or
            is given twice.
    """
    if which not in runs.POLICIES:
        raise BadInput(f"which={which}", " or ".join(runs.POLICIES))
    found: list[Path] = []
    unfinished: list[Failure] = []
    for place in places:
        if (place / paths.POLICY_CARD).is_file():
            found.append(place)
            continue
        if (place / paths.RUN_CARD).is_file():
            runs.require_complete(place)
        candidates = paths.find(place, paths.RUN_CARD) if place.is_dir() else []
        if not candidates:
            raise BadInput(
                f"{place} holds no runs" if place.exists() else f"{place} does not exist",
                "a run, a folder of runs, or a frozen policy",
                "`rl-lab list` shows what is at hand.",
            )
        for run in candidates:
            try:
                runs.require_complete(run)
                found.append(run / runs.POLICIES[which])
            except BadInput as error:
                unfinished.append(_unfinished(run, error))
    if not found:
        raise BadInput(
            "the selection holds no finished run",
            "at least one",
            " ".join(f.message for f in unfinished[:3]) or "Give runs=FOLDER or policies=[FOLDER].",
        )
    _require_distinct(found)
    return sorted(found), unfinished


def _require_distinct(found: Sequence[Path]) -> None:
    twice = [path for path, times in collections.Counter(found).items() if times > 1]
    if twice:
        more = f" and {len(twice) - 1} more" if twice[1:] else ""
        raise BadInput(
            f"{twice[0]}{more} selected more than once",
            "each policy once",
            "Give each place once, and no folder beside one that lies in it.",
        )


def _unfinished(run: Path, error: BadInput) -> Failure:
    seed = run.name.rpartition("_")[2]
    return Failure(run.parent.name, int(seed) if seed.isdigit() else -1, str(error))

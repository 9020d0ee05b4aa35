"""Which of an evaluation's episodes is worth a look."""

from __future__ import annotations

from collections.abc import Iterable

from rl_lab.errors import BadInput, closest
from rl_lab.records import EpisodeRecord
from rl_lab.shifts import NO_SHIFT

_WHICH = ("best", "median", "worst")


def require_known(which: str) -> None:
    """Refuse a word that is none of those that `pick` takes.

    Raises:
        BadInput: It is another.
    """
    if which not in _WHICH:
        raise BadInput(f"pick={which}", f"one of {', '.join(_WHICH)}", closest(which, _WHICH))


def pick(records: Iterable[EpisodeRecord], which: str) -> EpisodeRecord:
    """The best, median or worst episode of one contestant in the training context.

    The median of an even number is the lower of the middle two. Of equal returns the lowest
    evaluation seed is taken, then the lowest training seed.

    Args:
        records: Of one contestant; those of shifted contexts are passed over.
        which: `best`, `median` or `worst`.

    Raises:
        BadInput: `which` is another word, or the records are none or of several contestants.
    """
    require_known(which)
    nominal = [r for r in records if r.shift == NO_SHIFT and r.delta == 0.0]
    names = sorted({r.contestant for r in nominal})
    if len(names) != 1:
        raise BadInput(
            f"episodes of {', '.join(names) if names else 'no contestant'}",
            "episodes of one contestant in the training context",
            "Give contestant=NAME." if names else "Evaluate first: rl-lab evaluate runs=FOLDER.",
        )
    returns = sorted(r.episode_return for r in nominal)
    rank = {"worst": 0, "median": (len(returns) - 1) // 2, "best": len(returns) - 1}[which]
    equal = [r for r in nominal if r.episode_return == returns[rank]]
    return min(equal, key=lambda r: (r.evaluation_seed, r.training_seed))

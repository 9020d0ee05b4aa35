"""The one scale of an evaluation: 0 is random play, 1 a solved task, both in the training world."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from rl_lab.statistics.resampling import FloatArray


@dataclasses.dataclass(frozen=True)
class Scale:
    """Which returns count as 0 and as 1.

    Attributes:
        random: The return that scores 0.
        solved: The return that scores 1.
        label: Says so where the scale is no declared one; else "".
    """

    random: float
    solved: float
    label: str

    def score(self, returns: npt.ArrayLike) -> FloatArray:
        """Returns of any shape as scores."""
        return (np.asarray(returns, dtype=float) - self.random) / (self.solved - self.random)


def scale_of(random: float | None, solved: float | None, best: float) -> Scale | str:
    """The scale of an experiment, or why there is none.

    Without a threshold above random play the best agent of the experiment stands for it.

    Args:
        random: Return of random play in the training world; None where it is not known.
        solved: The threshold; None where there is none.
        best: Highest mean return of an agent of this comparison in the training world.
    """
    if random is None:
        return "the return of random play is not known"
    if solved is not None and solved > random:
        return Scale(random, solved, "")
    if best > random:
        return Scale(random, best, "relative to best agent in this comparison")
    return "no threshold above random play, and no agent better than random play"

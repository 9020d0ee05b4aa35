"""What policies keep of their own score along a shift, and how far they can be moved.

Only of training seeds that had learned: who has nothing cannot lose it. Arrays are [n, k, l]:
training seeds, evaluation seeds, levels; level 0 is the training context.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rl_lab.comparison import scoring
from rl_lab.comparison.wording import number
from rl_lab.statistics import measures
from rl_lab.statistics.intervals import counted
from rl_lab.statistics.resampling import FloatArray
from rl_lab.statistics.seeds import of_matrix, over_seeds

BoolArray = npt.NDArray[np.bool_]


def critical_shift(
    scores_nkl: FloatArray, seeds: Sequence[int], deltas: Sequence[float]
) -> dict[str, Any]:
    """The median over the training seeds that had learned of how far each can be moved.

    Args:
        scores_nkl: Scores along the shift.
        seeds: The training seeds [n].
        deltas: Its magnitudes [l].
    """
    found = [measures.critical_shift(deltas, row) for row in scores_nkl.mean(axis=1)]
    texts = dict(zip(map(str, seeds), (text for _, text in found), strict=True))
    known = [value for value, _ in found if value is not None]
    value, reason, text = np.nan, found[0][1], found[0][1]
    if known:
        # Only what was never lost reaches the last magnitude; it may lie anywhere beyond.
        median = measures.censored_median([v if v < deltas[-1] else None for v in known])
        value = float(np.median(known)) if median is None else median
        text = f">{value}" if median is None else f"{value}"
        reason = _left_out(len(found) - len(known))
    data = scoring.stated("critical_shift", value, reason)
    if known and reason:
        data["critical_shift_reason"] = reason
    return {**data, "critical_shift_text": text, "per_seed_critical_shift": texts}


def _left_out(count: int) -> str:
    """Why a number is about fewer training seeds; "" where it is about all."""
    return f"without {counted(count, 'training seed')}: nominal not learned" if count else ""


def retention(ends_nk2: FloatArray, learned: BoolArray) -> dict[str, Any]:
    """Mean over the training seeds that had learned of the share each keeps of its own score.

    Args:
        ends_nk2: Scores in the training context and at a magnitude.
        learned: Which training seeds had [n].
    """
    left_out = int((~learned).sum())
    if not learned.any():
        return scoring.stated("retention", np.nan, measures.NOT_LEARNED)

    def share(scores: FloatArray) -> FloatArray:
        mean = scores.mean(axis=-2)
        # Resampled episodes may all be worth nothing; such a share has no limit.
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(mean[..., 1] / mean[..., 0])

    kept = over_seeds(of_matrix(ends_nk2[learned], share), scoring.generator())
    data = {
        "retention": kept.estimate,
        "retention_low": number(kept.low),
        "retention_high": number(kept.high),
    }
    return {**data, "retention_reason": _left_out(left_out)} if left_out else data

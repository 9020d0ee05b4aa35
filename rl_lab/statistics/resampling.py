"""Resamples of crossed designs: training seeds in rows, shared evaluation seeds in columns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

RESAMPLES = 5000
# Relative differences below this come from adding the same numbers in another order.
ROUNDING = 1e-12
CELLS_AT_ONCE = 2_000_000
_EXACT_FLIPS = 12


def crossed(
    matrices: Sequence[FloatArray],
    statistic: Callable[..., FloatArray],
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> FloatArray:
    """A statistic of resampled matrices: rows of each independently, columns of all jointly.

    Args:
        matrices: Each [n, k, ...]; n and what follows k may differ, axes after k stay whole.
        statistic: Maps one stack [b, n, k, ...] per matrix to [b, ...].
        generator: Draws the resamples.
        resamples: How many.

    Returns:
        [resamples, ...].
    """
    stacks = _stacks(matrices, generator, resamples)
    return np.concatenate([statistic(*stack) for stack in stacks])


def _stacks(
    matrices: Sequence[FloatArray], generator: np.random.Generator, resamples: int
) -> Iterator[list[FloatArray]]:
    k = matrices[0].shape[1]
    at_once = max(1, CELLS_AT_ONCE // sum(matrix.size for matrix in matrices))
    for start in range(0, resamples, at_once):
        b = min(at_once, resamples - start)
        columns = generator.integers(k, size=(b, 1, k))
        rows = [generator.integers(len(matrix), size=(b, len(matrix), 1)) for matrix in matrices]
        yield [matrix[r, columns] for matrix, r in zip(matrices, rows, strict=True)]


def sign_flip_p_value(differences: FloatArray, generator: np.random.Generator) -> float:
    """Two-sided sign-flip test that paired differences are symmetric about 0.

    Args:
        differences: [k].
        generator: Draws the flips where there are too many (k > 12) to try all.
    """
    k = differences.size
    exact = k <= _EXACT_FLIPS
    if exact:
        signs_bk = np.array(list(itertools.product((-1.0, 1.0), repeat=k)))
    else:
        signs_bk = generator.choice(np.array([-1.0, 1.0]), size=(RESAMPLES, k))
    observed = abs(differences.sum()) * (1 - ROUNDING)
    extreme = int((np.abs(signs_bk @ differences) >= observed).sum())
    # The observed signs count as one of the drawn ones, so that p is never 0.
    return extreme / len(signs_bk) if exact else (extreme + 1) / (len(signs_bk) + 1)

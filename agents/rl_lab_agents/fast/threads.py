"""One place that keeps the linear algebra of NumPy and SciPy to the run's threads."""

from __future__ import annotations

import scipy.linalg.cython_blas  # loaded before the limit is set, or it would come up without it
import threadpoolctl
import torch


def limit() -> None:
    """Let BLAS use as many threads as torch may; more than that fight over the same cores."""
    threadpoolctl.threadpool_limits(torch.get_num_threads(), user_api="blas")


assert scipy.linalg.cython_blas

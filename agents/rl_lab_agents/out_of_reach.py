"""What vectorised environments have in common whose states lie where nobody can save them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from rl_lab.environments import CheckedEnv
from rl_lab.errors import Failed


class OutOfReach:
    """Mixed into a `VecEnv`: it has no state to save, and says when it is waited for."""

    def unanswered(self, seconds: float) -> Failed:
        """The error of environments that have been waited for too long."""
        raise NotImplementedError

    def checkpoint_state(self) -> dict[str, Any]:
        """Nothing: the environments keep their states to themselves."""
        return {}

    def restore_checkpoint_state(self, state: dict[str, Any]) -> None:
        """Nothing is there to restore."""

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """While the environments are waited for; whoever watches asks them for `unanswered`."""
        CheckedEnv.at_work[0] = self, time.monotonic()
        try:
            yield
        finally:
            CheckedEnv.at_work[0] = None

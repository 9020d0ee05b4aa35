"""An environment that hangs is a fault, not a training that never ends."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

from rl_lab.environments import CheckedEnv

_LOOKS = 4  # within the time that an environment has


@contextlib.contextmanager
def watched(limit_s: float) -> Iterator[None]:
    """Raise a `Failed` where an environment does not answer for too long.

    The alarm interrupts what waits (a socket, a lock, a sleep) and Python code that runs for ever;
    compiled code that never returns is beyond its reach.

    Args:
        limit_s: How long one step or reset may take; 0 is for ever.
    """
    main = threading.current_thread() is threading.main_thread()
    if not limit_s or not main or not hasattr(signal, "SIGALRM"):
        yield
        return

    def look(number: int, frame: object) -> None:
        work = CheckedEnv.at_work[0]
        if work is not None and time.monotonic() - work[1] > limit_s:
            CheckedEnv.at_work[0] = None
            raise work[0].unanswered(limit_s)

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, limit_s / _LOOKS, limit_s / _LOOKS)
    CheckedEnv.at_work[0] = None
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

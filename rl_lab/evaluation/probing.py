"""Worlds tried before any episode counts: whether they can be reused, and whether shifts shift."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import os
from collections.abc import Sequence
from typing import Any

from rl_lab import episodes, shifts
from rl_lab.environments import EnvironmentRecipe
from rl_lab.errors import BadInput
from rl_lab.shifts import NOMINAL, Context

_START_S = 20.0  # for a process to import what it needs


@dataclasses.dataclass(frozen=True)
class Probe:
    """What a try of the environment showed.

    Attributes:
        reuse: A used environment, reset with a seed, goes on exactly as a fresh one does.
        problem: Why a context is not what it is declared to be; None where nothing was found.
    """

    reuse: bool
    problem: BadInput | None


def probe(
    recipe: EnvironmentRecipe,
    contexts: Sequence[Context],
    imports: tuple[str, ...],
    timeout_s: float,
) -> Probe:
    """Try in a process of its own whether environments can be reused, and whether shifts shift.

    An environment that dies, hangs or raises there proves nothing; the episodes will show why.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_probe, args=(there, recipe, contexts, imports), daemon=True)
    process.start()
    there.close()
    found = Probe(reuse=False, problem=None)
    try:
        # One message per thing tried, so that each of them has its own time.
        while here.poll(timeout_s + _START_S):
            message = here.recv()
            if message is None:
                return found
            found = message
        return Probe(reuse=False, problem=found.problem)
    except EOFError:
        return Probe(reuse=False, problem=found.problem)
    finally:
        process.kill()
        process.join()


def _probe(
    pipe: Any, recipe: EnvironmentRecipe, contexts: Sequence[Context], imports: tuple[str, ...]
) -> None:
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    # MuJoCo's compiler complains anew of every model that is made, and here many are.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    reuse = True
    for context in [NOMINAL, *contexts]:
        problem = shifts.fault(recipe, context, imports) if context.parts else None
        if problem is not None:
            pipe.send(Probe(reuse, problem))
            break
        make = functools.partial(shifts.make, recipe, context, None, imports)
        reuse = reuse and episodes.reuse_is_exact(recipe, make)
        pipe.send(Probe(reuse, None))
    pipe.send(None)

"""One root seed, many named and independent streams; nothing here reads a clock.

Seeds given to environments come from four blocks that never meet: what an agent trains on, what
its best snapshot is chosen on, what it is judged on, and what its world's statistics are taken on.
"""

from __future__ import annotations

import hashlib

import numpy as np

from rl_lab.errors import BadInput

UNKNOWN = -1  # a training seed that nobody told
TRAINING_SEED_LIMIT = 1_000_000
SEEDS_PER_RUN = 1_000
_SELECTION_BLOCK = 1_000_000_000
FIRST_EVALUATION_SEED = 2_000_000_000
_REFERENCE_BLOCK = 3_000_000_000
_EVALUATION_SEED_LIMIT = 10_000
_SEEDS_PER_EVALUATION = 100_000
# No other seed lies in here.
EVALUATION_SEEDS = range(FIRST_EVALUATION_SEED, _REFERENCE_BLOCK)


def generator(root_seed: int, *names: str | int) -> np.random.Generator:
    """A generator for one purpose, independent of every other purpose of the same root seed."""
    digest = hashlib.sha256("\0".join(map(str, names)).encode()).digest()
    words = np.frombuffer(digest[:16], dtype=np.uint32).tolist()
    return np.random.default_rng(np.random.SeedSequence([root_seed, *words]))


def shown(seed: object) -> str:
    """A training seed as people read it; records keep -1 where it is not known."""
    return "unknown" if str(seed) == str(UNKNOWN) else str(seed)


def training_seed(run_seed: int) -> int:
    """The first environment seed of a run; environment i of the run takes this plus i.

    Raises:
        BadInput: The run's seed is negative or too large.
    """
    if not 0 <= run_seed < TRAINING_SEED_LIMIT:
        raise BadInput(
            f"seed={run_seed}",
            f"a whole number from 0 to {TRAINING_SEED_LIMIT - 1}",
            "Choose another seed.",
        )
    return run_seed * SEEDS_PER_RUN


def renewal_seed(run_seed: int, index: int, *names: str) -> int:
    """The first seed of environments that begin anew in the middle of a run; of training's block.

    Args:
        run_seed: The run's seed.
        index: How many times this happened before, or any other count.
        names: Of what is no run but goes on from one.
    """
    last = _SELECTION_BLOCK - SEEDS_PER_RUN
    return int(generator(run_seed, "renewal", index, *names).integers(SEEDS_PER_RUN, last))


def selection_seeds(run_seed: int, episodes: int) -> list[int]:
    """The episode seeds on which a run's best snapshot is chosen.

    Raises:
        BadInput: More than a run has.
    """
    if episodes > SEEDS_PER_RUN:
        raise BadInput(f"training.selection_episodes={episodes}", f"at most {SEEDS_PER_RUN}")
    first = _SELECTION_BLOCK + run_seed * SEEDS_PER_RUN
    return list(range(first, first + episodes))


def reference_seeds(run_seed: int, episodes: int) -> list[int]:
    """The episode seeds on which the statistics of a policy's own world are taken.

    Args:
        run_seed: Of the policy's training; negative where it is not known.
        episodes: How many.

    Raises:
        BadInput: More than a run has.
    """
    if episodes > SEEDS_PER_RUN:
        raise BadInput(f"{episodes} reference episodes", f"at most {SEEDS_PER_RUN}")
    first = _REFERENCE_BLOCK + max(run_seed, 0) % TRAINING_SEED_LIMIT * SEEDS_PER_RUN
    return list(range(first, first + episodes))


def evaluation_seeds(
    root_seed: int,
    episodes: int,
    keys: tuple[str, str] = ("evaluation.seed", "evaluation.episodes"),
) -> list[int]:
    """The published list of episode seeds that all contestants of an evaluation face.

    Args:
        root_seed: Which list.
        episodes: How much of it.
        keys: What a user calls the two, for messages.

    Raises:
        BadInput: The root seed or the number of episodes is out of range.
    """
    if not 0 <= root_seed < _EVALUATION_SEED_LIMIT:
        raise BadInput(
            f"{keys[0]}={root_seed}",
            f"a whole number from 0 to {_EVALUATION_SEED_LIMIT - 1}",
            "Choose another seed.",
        )
    if not 1 <= episodes <= _SEEDS_PER_EVALUATION:
        raise BadInput(
            f"{keys[1]}={episodes}",
            f"a whole number from 1 to {_SEEDS_PER_EVALUATION}",
            "Ask for at least one episode; 50 is the default.",
        )
    first = FIRST_EVALUATION_SEED + root_seed * _SEEDS_PER_EVALUATION
    return list(range(first, first + episodes))

"""How commands end badly: every message says what came, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_HELD = 3
EXIT_INTERRUPTED = 75


class LabError(Exception):
    """An error a user can act on.

    Args:
        came: What was found, as a clause ("unknown environment 'CartPol-v1'").
        expected: What would have been right ("a registered Gymnasium id"); may be empty.
        do: The next thing to type or change, as a sentence; may be empty.
    """

    exit_code = EXIT_FAILED
    # Arrays that show what led to it, by name; for a crash report.
    evidence: Mapping[str, Any] = {}

    def __init__(self, came: str, expected: str = "", do: str = "") -> None:
        super().__init__(came, expected, do)
        self.came, self.expected, self.do = came, expected, do

    def __str__(self) -> str:
        expected = f" (expected {self.expected})" if self.expected else ""
        return f"{self.came}{expected}. {self.do}".strip()


class BadInput(LabError):
    """What was asked for cannot be done; nothing was done."""

    exit_code = EXIT_BAD_INPUT


class Held(BadInput):
    """Another process works in the same folder; what is asked may be right a moment later."""

    exit_code = EXIT_HELD


class Failed(LabError):
    """Something that was asked for failed on the way."""


class Diverged(Failed):
    """Learning gave numbers that are not finite.

    Args:
        what: What is not finite, as a name.
        step: Environment steps done.
    """

    def __init__(self, what: str, step: int) -> None:
        super().__init__(
            f"{what} is not finite after {step} steps",
            "finite losses and weights",
            "Lower agent.learning_rate, bound the gradients, or normalise observations and "
            "rewards; the newest checkpoint is from before that.",
        )


class EnvironmentFault(Failed):
    """An environment raised, or returned something that is not a valid transition.

    Args:
        environment: The environment's id.
        seed: The last seed given to `env.reset`.
        episode: Episodes since that seed was given, from 1.
        step: The step within the episode, 0 being the reset.
        what: What happened, as a clause.
    """

    def __init__(
        self, environment: str, seed: int | None, episode: int, step: int, what: str
    ) -> None:
        super().__init__(
            f"environment {environment} {what} (seed {seed}, episode {episode}, step {step})",
            "finite observations of the declared shape and finite rewards",
            "Mend the environment; the same seed and actions repeat it.",
        )
        self.where = (environment, seed, episode, step, what)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.where


class Unanswered(EnvironmentFault):
    """An environment that was waited for too long."""


def closest(word: str, known: Iterable[str]) -> str:
    """The known word most like `word` as " Did you mean 'x'?", or "" where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""

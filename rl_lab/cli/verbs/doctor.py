"""What this machine can do, and one fix per problem.

usage: rl-lab doctor
"""

from __future__ import annotations

from rl_lab.cli.options import Options
from rl_lab.cli.words import only
from rl_lab.errors import EXIT_DONE, EXIT_FAILED


def run(options: Options, words: list[str]) -> int:
    """Check; returns the exit code."""
    from rich.console import Console

    from rl_lab import doctor

    only(words, {})
    found = doctor.checks()
    Console().print(doctor.table(found))
    return EXIT_FAILED if any(check.ok is False for check in found) else EXIT_DONE

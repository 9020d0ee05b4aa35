"""Rebuild an evaluation's report from its stored records.

usage: rl-lab report evaluation=FOLDER
"""

from __future__ import annotations

from rl_lab import paths
from rl_lab.cli import leaderboard
from rl_lab.cli.options import Options
from rl_lab.cli.words import only
from rl_lab.errors import EXIT_DONE, BadInput


def run(options: Options, words: list[str]) -> int:
    """Rebuild; returns the exit code."""
    given = only(words, {"evaluation": None})["evaluation"]
    if given is None:
        raise BadInput("no evaluation=", "evaluation=FOLDER", "`rl-lab list` shows them.")
    folder = paths.one(given)
    if not (folder / paths.SCORES).is_file():
        raise BadInput(
            f"{folder} holds no evaluation",
            f"a folder with {paths.SCORES}",
            "`rl-lab list` shows the evaluations at hand.",
        )
    from rl_lab import reporting

    reporting.write_report(folder)
    leaderboard.show(folder)
    return EXIT_DONE

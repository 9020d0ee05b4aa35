"""Rebuild an evaluation's report from its stored records, or take it apart for a paper.

usage: rl-lab report evaluation=FOLDER [format=md|csv|latex|svg|png|pdf] [to=FOLDER]

  format=html   the page (default): FOLDER/report.html
  format=md     all tables in one file; csv and latex (booktabs): one file per table
  format=svg    one file per figure; png and pdf need pip install "rl-lab[figures]"
  to=FOLDER     where these go (default: export/ in the evaluation's folder)
"""

from __future__ import annotations

from pathlib import Path

from rl_lab import paths
from rl_lab.cli import leaderboard
from rl_lab.cli.options import Options
from rl_lab.cli.words import only
from rl_lab.errors import EXIT_DONE, BadInput

_PAGE = "html"


def run(options: Options, words: list[str]) -> int:
    """Rebuild; returns the exit code."""
    given = only(words, {"evaluation": None, "format": _PAGE, "to": None})
    if given["evaluation"] is None:
        raise BadInput("no evaluation=", "evaluation=FOLDER", "`rl-lab list` shows them.")
    folder = paths.one(given["evaluation"])
    if not (folder / paths.SCORES).is_file():
        raise BadInput(
            f"{folder} holds no evaluation",
            f"a folder with {paths.SCORES}",
            "`rl-lab list` shows the evaluations at hand.",
        )
    from rl_lab import reporting

    kind = str(given["format"])
    if kind == _PAGE:
        reporting.write_report(folder)
        leaderboard.show(folder)
        return EXIT_DONE
    to = Path(given["to"]) if given["to"] is not None else folder / "export"
    for path in reporting.write_files(folder, kind, to):
        print(path)
    return EXIT_DONE

"""Rebuild an evaluation's report from its stored records, or take it apart for a paper.

usage: rl-lab report evaluation=FOLDER [format=md|csv|latex|svg|png|pdf] [to=FOLDER]
       rl-lab report study=FOLDER      the page of a search that `rl-lab tune` made

  format=html   the page (default): FOLDER/report.html
  format=md     all tables in one file; csv and latex (booktabs): one file per table
  format=svg    one file per figure; png and pdf need pip install "rl-lab[figures]"
  to=FOLDER     where these go (default: export/ in the evaluation's folder)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rl_lab import paths
from rl_lab.cli import leaderboard
from rl_lab.cli.options import Options
from rl_lab.cli.words import only
from rl_lab.errors import EXIT_DONE, BadInput

_PAGE = "html"


def run(options: Options, words: list[str]) -> int:
    """Rebuild; returns the exit code."""
    given = only(words, {"evaluation": None, "study": None, "format": _PAGE, "to": None})
    if given["study"] is not None:
        return _study(given)
    if given["evaluation"] is None:
        raise BadInput("no evaluation=", "evaluation=FOLDER", "`rl-lab list` shows them.")
    folder = paths.one(given["evaluation"])
    from rl_lab import reporting

    kind = str(given["format"])
    if kind == _PAGE:
        if given["to"] is not None:
            raise BadInput(
                f"to={given['to']} with format={_PAGE}",
                "format=md, csv, latex, svg, png or pdf with it",
                f"The page is {folder / paths.REPORT}, one file that can be copied anywhere.",
            )
        reporting.write_report(folder)
        leaderboard.show(folder)
        return EXIT_DONE
    to = Path(given["to"]) if given["to"] is not None else folder / "export"
    for path in reporting.write_files(folder, kind, to):
        print(path)
    return EXIT_DONE


def _study(given: Mapping[str, str | None]) -> int:
    more = [f"{key}={given[key]}" for key in ("evaluation", "to") if given[key] is not None]
    more += [f"format={given['format']}"] if given["format"] != _PAGE else []
    if more:
        raise BadInput(f"study= with {' '.join(more)}", "study=FOLDER alone")
    from rl_lab.reporting import study_page

    print(study_page.write(paths.one(str(given["study"]))))
    return EXIT_DONE

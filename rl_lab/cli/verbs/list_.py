"""Runs, frozen policies and evaluations at hand; or the options of a configuration group.

usage: rl-lab list [FOLDER] [--watch]
       rl-lab list env | agent | experiment | shift/ENVIRONMENT | ...
"""

from __future__ import annotations

from pathlib import Path

from rl_lab import paths
from rl_lab.cli.options import Options
from rl_lab.errors import EXIT_DONE, BadInput

_PLAIN_WIDTH = 160  # of a pipe or a file, which has no width of its own


def run(options: Options, words: list[str]) -> int:
    """List; returns the exit code."""
    from rich.console import Console

    from rl_lab import listing

    if len(words) > 1:
        raise BadInput(f"{' '.join(words)!r}", "one folder or one group")
    place = words[0] if words else "outputs"
    roots = [root for root in (paths.conf_dir(), options.config_dir) if root]
    if words and not Path(place).is_dir() and any((root / place).is_dir() for root in roots):
        for name, purpose in listing.configured(place, options.config_dir):
            print(f"{name:<28}{purpose}")
        return EXIT_DONE
    folder = Path(place)
    if words and not folder.is_dir():
        groups = sorted(p.name for p in paths.conf_dir().iterdir() if p.is_dir())
        raise BadInput(f"no folder {place!r}", f"a folder, or one of {', '.join(groups)}")
    if options.watch:
        listing.watch(folder, Console())
        return EXIT_DONE
    rows = listing.rows(folder)
    if not any(rows):
        print(f"nothing in {folder} yet; `rl-lab train` makes a first run")
        return EXIT_DONE
    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=_PLAIN_WIDTH)
    screen.print(listing.table(rows))
    return EXIT_DONE

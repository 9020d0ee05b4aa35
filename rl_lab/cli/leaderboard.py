"""The leaderboard in the terminal."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rl_lab import files, paths, scores_file, seeding
from rl_lab.comparison import card, leaderboard_rows
from rl_lab.comparison.wording import estimate_text

_PLAIN_WIDTH = 1_000  # of a pipe or a file: nothing is wrapped or cut there


def show(folder: Path) -> None:
    """Print an evaluation's leaderboard, verdict and where to look next."""
    scores = scores_file.read(folder / paths.SCORES)
    speed_path = folder / paths.SPEED
    speed = files.read_json(speed_path) if speed_path.exists() else None
    rows = leaderboard_rows(scores, speed)
    screen = _screen()
    screen.print()
    screen.print(_table(rows, screen.width))
    screen.print()
    screen.print(Text(str(scores["verdict"])))
    for text in card.texts(scores["contestants"]):
        screen.print()
        screen.print(Text(text), soft_wrap=True)
    for failure in scores["failures"]:
        who = f"{failure['contestant']} seed {seeding.shown(failure['training_seed'])}"
        print(f"failed: {who}: {failure['message']}", file=sys.stderr)
    screen.print()
    # Runs and evaluations share the folder above `evaluate/`; elsewhere only this one is known.
    logs = folder.parent.parent if folder.parent.name == "evaluate" else folder
    for label, text in (
        ("report", str(folder / paths.REPORT)),
        ("records", str(folder / paths.EPISODES)),
        ("TensorBoard", f"rl-lab tensorboard {shlex.quote(str(logs))}"),
    ):
        screen.print(Text(f"{label + ':':<13}{text}"), soft_wrap=True)


def show_suite(folder: Path) -> None:
    """Print a suite's table; each environment's report lies in a folder of its own."""
    data = files.read_json(folder / paths.SUITE)
    rows = [
        {
            "contestant": row["name"],
            "mean score [95%]": estimate_text(row["mean"]) if row["mean"] else "-",
            "IQM [95%]": estimate_text(row["iqm"]) if row["iqm"] else "-",
            "optimality gap [95%]": estimate_text(row["optimality_gap"]) if row["mean"] else "-",
            "": row.get("mean_reason", ""),
        }
        for row in data["contestants"]
    ]
    screen = _screen()
    screen.print()
    screen.print(Text(f"suite of {', '.join(data['environments'])}; random is 0, solved is 1"))
    screen.print(_table(rows, screen.width))
    for environment in data["environments"]:
        report = folder / paths.file_name(environment) / paths.REPORT
        screen.print(Text(f"report of {environment}: {report}"), soft_wrap=True)
    screen.print(Text(f"suite: {folder / paths.SUITE}"), soft_wrap=True)


def _screen() -> Console:
    screen = Console()
    return screen if screen.is_terminal else Console(width=_PLAIN_WIDTH)


def _table(rows: list[dict[str, str]], width: int) -> Table:
    """Headings may wrap; cells do so only where the screen is narrower than they are."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    widest = {h: max(len(row[h]) for row in rows) for h in (rows[0] if rows else ())}
    fits = sum(widest.values()) + 3 * len(widest) <= width
    for heading, least in widest.items():
        text = heading in ("contestant", "agent")
        table.add_column(
            heading,
            justify="left" if text else "right",
            min_width=least if fits else None,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row.values()))
    return table

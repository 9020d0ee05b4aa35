"""The leaderboard in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rl_lab import files, paths
from rl_lab.comparison import leaderboard_rows

_PLAIN_WIDTH = 110  # of a pipe or a file, which has no width of its own


def show(folder: Path) -> None:
    """Print an evaluation's leaderboard, verdict and where to look next."""
    scores = files.read_json(folder / paths.SCORES)
    speed_path = folder / paths.SPEED
    speed = files.read_json(speed_path) if speed_path.exists() else None
    rows = leaderboard_rows(scores, speed)
    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=_PLAIN_WIDTH)
    screen.print()
    screen.print(_table(rows))
    screen.print()
    screen.print(Text(str(scores["verdict"])))
    for failure in scores["failures"]:
        seed = failure["training_seed"]
        screen.print(Text(f"failed: {failure['contestant']} seed {seed}: {failure['message']}"))
    screen.print()
    for label, text in (
        ("report", str(folder / paths.REPORT)),
        ("records", str(folder / paths.EPISODES)),
        ("TensorBoard", f"rl-lab tensorboard {folder.parent.parent}"),
    ):
        screen.print(Text(f"{label + ':':<13}{text}"), soft_wrap=True)


def _table(rows: list[dict[str, str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in rows[0] if rows else ():
        text = heading in ("contestant", "agent")
        # Headings may wrap, cells may not.
        widest = max(len(row[heading]) for row in rows)
        table.add_column(heading, justify="left" if text else "right", min_width=widest)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row.values()))
    return table

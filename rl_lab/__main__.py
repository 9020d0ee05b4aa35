"""`rl-lab` and `python -m rl_lab`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run one command; the return value is the exit code."""
    from rl_lab.cli import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

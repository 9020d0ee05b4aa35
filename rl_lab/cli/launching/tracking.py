"""What all launchers share: blocks of jobs, and the files in which they say how jobs ended."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rl_lab.cli.launching import block as blocks
from rl_lab.cli.launching.jobs import Finished, Job


@dataclasses.dataclass
class Block:
    """Jobs that one process runs one after the other.

    Attributes:
        jobs: In this order.
        results: Where it says how they ended.
        told: Places of the jobs whose end is known.
    """

    jobs: tuple[Job, ...]
    results: Path
    told: set[int] = dataclasses.field(default_factory=set)

    def text(self) -> str:
        """As it travels."""
        return blocks.to_text(self.jobs, self.results)

    def environment(self) -> dict[str, str]:
        """Variables of its process; libraries size their pools of threads as they are imported."""
        return {**os.environ, "OMP_NUM_THREADS": str(self.jobs[0].threads)}

    def ended(self) -> list[Finished]:
        """Jobs that have ended since the last call."""
        codes = blocks.read_results(self.results)
        new = {index: code for index, code in codes.items() if index not in self.told}
        self.told |= set(new)
        return [Finished(self.jobs[index], code) for index, code in new.items()]

    @property
    def over(self) -> bool:
        """Whether the end of all its jobs is known."""
        return len(self.told) == len(self.jobs)

    def lost(self, code: int | None, cause: str) -> list[Finished]:
        """The jobs that can no longer end, as their process is gone."""
        new = [index for index in range(len(self.jobs)) if index not in self.told]
        self.told |= set(new)
        return [Finished(self.jobs[index], code, cause) for index in new]


def cut(jobs: Sequence[Job], size: int, folder: Path) -> list[Block]:
    """Blocks of at most `size` jobs with equal threads; their files go to a new folder."""
    found: list[list[Job]] = []
    for job in jobs:
        if not found or len(found[-1]) == size or found[-1][0].threads != job.threads:
            found.append([])
        found[-1].append(job)
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="blocks-", dir=folder))
    return [Block(tuple(some), place / f"{i}.results") for i, some in enumerate(found)]

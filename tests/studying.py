"""What the tests of studies share: a small study, and processes that work for it together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from rl_lab.search import storages, studies

FACTS = {"space": [{"key": "a"}], "objective": {"seeds": 1}, "words": ["env=x"], "recipe": "1"}
# A process that begins at the same instant as the others, and takes trials until 12 are finished.
_WORKER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from studying import opened
from rl_lab.search.desk import Desk
folder, url, number = Path(sys.argv[2]), sys.argv[3] or None, int(sys.argv[4])
(folder / f"ready{number}").touch()
while len(list(folder.glob("ready*"))) < 3: time.sleep(0.001)
study = opened(folder, url)
with Desk(study, folder / "w") as desk:
    while (trial := desk.take(12)) is not None:
        study.tell(trial, trial.suggest_float("x", 0.0, 1.0))
"""


def opened(folder: Path, url: str | None = None, **facts: Any) -> Any:
    """A study of one parameter in a folder or a database."""
    return studies.open_study(
        storages.storage(url, folder),
        "s",
        folder,
        ["maximize"],
        {**FACTS, **facts},
        studies.sampler("random", 0),
        studies.pruner("none"),
    )


def finished(study: Any) -> int:
    """How many trials count."""
    return sum(map(studies.finished, study.get_trials(deepcopy=False)))


def three_at_once(folder: Path, url: str | None) -> list[int]:
    """Exit codes of three workers that open the same new study at the same instant."""
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", _WORKER, here, str(folder), url or ""]
    workers = [subprocess.Popen([*command, str(k)]) for k in range(3)]
    return [worker.wait(120) for worker in workers]
